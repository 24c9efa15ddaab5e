"""Where everything lies in a workspace, the folder that holds one shop. Every path is spelled here and only here.

It looks at no file. What lies inside a release is release/layout.py's; what a table holds is datasets/schema.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

REJECTS = "rejects.jsonl"  # of one import: the rows that were left out, and why
PRIVATE_KEY, PUBLIC_KEY = "release.pem", "release.pub"


@dataclass(frozen=True, slots=True)
class WorkspacePaths:
    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "shop.toml"

    @property
    def lock(self) -> Path:
        """Held by who writes to the workspace."""
        return self.root / ".lock"

    @property
    def import_scratch(self) -> Path:
        return self.root / ".import"

    @property
    def build_scratch(self) -> Path:
        return self.root / ".build"

    # What was imported.

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue"

    @property
    def items(self) -> Path:
        return self.catalogue / "items.parquet"

    @property
    def retired_items(self) -> Path:
        """What the shop no longer sells."""
        return self.catalogue / "retired.parquet"

    @property
    def images(self) -> Path:
        return self.catalogue / "images.parquet"

    @property
    def catalogue_rejects(self) -> Path:
        return self.catalogue / REJECTS

    @property
    def photos(self) -> Path:
        return self.root / "photos" / "photos.parquet"

    @property
    def events(self) -> Path:
        return self.root / "events"

    def events_of(self, day: date) -> Path:
        """The events of one UTC day."""
        return self.events / f"date={day.isoformat()}.parquet"

    @property
    def event_days(self) -> list[Path]:
        """The day files that exist, oldest first."""
        return sorted(self.events.glob("date=*.parquet"))

    @property
    def events_rejects(self) -> Path:
        return self.events / REJECTS

    @property
    def reviews(self) -> Path:
        return self.root / "reviews"

    @property
    def reviews_table(self) -> Path:
        return self.reviews / "reviews.parquet"

    @property
    def reviews_rejects(self) -> Path:
        return self.reviews / REJECTS

    # What a demo shop knows of itself.

    @property
    def truth(self) -> Path:
        return self.root / "truth"

    @property
    def search_truth(self) -> Path:
        return self.truth / "search.parquet"

    @property
    def recommend_truth(self) -> Path:
        return self.truth / "recommend.parquet"

    @property
    def similar_truth(self) -> Path:
        return self.truth / "similar.parquet"

    # What was trained, measured and kept for the next build.

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def own_text_encoder(self) -> Path:
        """The one that was trained on the shop's own texts."""
        return self.checkpoints / "text_encoder"

    @property
    def search_weights(self) -> Path:
        return self.root / "search_weights.json"

    @property
    def tuned(self) -> Path:
        return self.root / "tuned.toml"

    def trials(self, model: str) -> Path:
        """What tuning tried for a model."""
        return self.root / "tuning" / f"{model}.log"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def plans(self) -> Path:
        """TensorRT plans, a folder for each ONNX file."""
        return self.root / "plans"

    @property
    def exported_encoders(self) -> Path:
        return self.root / "cache" / "exports"

    @property
    def text_vectors(self) -> Path:
        """A folder for each text encoder."""
        return self.root / "cache" / "texts"

    @property
    def replay(self) -> Path:
        """The indexes of the past that training replays."""
        return self.root / "cache" / "replay"

    @property
    def logged_features(self) -> Path:
        return self.root / "cache" / "logged_features.parquet"

    # What is released and served.

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def private_key(self) -> Path:
        """Signs releases."""
        return self.keys / PRIVATE_KEY

    @property
    def public_key(self) -> Path:
        """Tells whether a release is genuine."""
        return self.keys / PUBLIC_KEY

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    def release(self, release_id: str) -> Path:
        """One immutable release; see release/layout.py."""
        return self.releases / release_id

    @property
    def channels(self) -> Path:
        """Which release answers whom."""
        return self.releases / "channels.json"

    @property
    def publication_log(self) -> Path:
        """Who changed what is served, and when."""
        return self.releases / "journal.jsonl"

    @property
    def seen_in_stores(self) -> Path:
        """Which generation of each release store's channels this workspace knows."""
        return self.releases / ".stores.json"

    @property
    def publisher_lock(self) -> Path:
        return self.releases / ".publish.lock"

    @property
    def model_repository(self) -> Path:
        """What Triton serves from."""
        return self.root / "model_repository"

    @property
    def store(self) -> Path:
        """The online feature store."""
        return self.root / "state" / "store.lmdb"

    @property
    def page_token_key(self) -> Path:
        return self.root / "state" / "page_token.key"

    @property
    def impressions(self) -> Path:
        """What the gateways have shown, a file for each day."""
        return self.root / "impressions"

    # Of the processes that serve it now.

    @property
    def endpoints(self) -> Path:
        return self.root / "run" / "endpoints.json"

    @property
    def edge(self) -> Path:
        """Envoy's configuration and log, where one runs before the gateway."""
        return self.root / "run" / "edge"

    @property
    def gateway_leases(self) -> Path:
        """A file for each gateway."""
        return self.root / "run" / "gateways"

    @property
    def gateway_ready(self) -> Path:
        """Written by a gateway once it serves."""
        return self.root / "run" / "gateway.json"

    @property
    def gateway_log(self) -> Path:
        return self.root / "run" / "gateway.log"

    @property
    def sync_status(self) -> Path:
        """How `release sync` gets on."""
        return self.root / "run" / "sync.json"

    @property
    def sync_log(self) -> Path:
        return self.root / "run" / "sync.log"

    @property
    def triton_log(self) -> Path:
        return self.root / "run" / "triton.log"
