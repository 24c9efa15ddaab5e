"""A workspace: the folder that holds one shop. This file owns every path in it and opens its tables lazily.

It writes nothing but `shop.toml`: importers, the demo shop, training and exporters fill the rest. Opening completes an
import that was cut short.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from shopfuse.core.atomic_files import finish_commit, has_commit, write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.schema import EVENT_SCHEMA, IMAGE_SCHEMA, PHOTO_SCHEMA, REVIEW_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings, read_settings, settings_toml
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock


class WorkspaceError(ShopfuseError):
    """The folder is not a workspace, or lacks what was asked of it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One shop on disk. Build it with `open`, `create` or `open_or_create`."""

    root: Path
    settings: ShopSettings

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """Open an existing workspace; WorkspaceError when it is none, SettingsError when its shop.toml is wrong."""
        root = root.absolute()
        settings_path = root / "shop.toml"
        if not settings_path.is_file():
            problem = "no such folder" if not root.exists() else "not a shopfuse workspace (it has no shop.toml)"
            raise WorkspaceError(f"{root}: {problem}")
        workspace = cls(root, read_settings(settings_path))
        workspace._finish_commits()
        return workspace

    @classmethod
    def create(cls, root: Path, settings: ShopSettings | None = None) -> "Workspace":
        """Make a workspace in a new or empty folder."""
        root = root.absolute()
        if root.exists() and not root.is_dir():
            raise WorkspaceError(f"{root}: a file of this name is in the way")
        if (root / "shop.toml").exists():
            raise WorkspaceError(f"{root}: already a workspace")
        if root.is_dir() and any(root.iterdir()):
            raise WorkspaceError(f"{root}: not empty; a workspace starts in a new or empty folder")
        workspace = cls(root, settings or ShopSettings())
        write_text(workspace.settings_path, settings_toml(workspace.settings))
        return workspace

    @classmethod
    def open_or_create(cls, root: Path) -> "Workspace":
        """Open the workspace at `root`, or make one with the default settings."""
        return cls.open(root) if (root / "shop.toml").exists() else cls.create(root)

    def _finish_commits(self) -> None:
        """Complete an import that died while its files took their places; a living one completes its own."""
        folders = [folder for folder in (self.catalogue_dir, self.events_dir, self.reviews_dir) if has_commit(folder)]
        if folders:
            with suppress(WorkspaceLockedError), workspace_lock(self.root):
                for folder in folders:
                    finish_commit(folder)

    @property
    def settings_path(self) -> Path:
        return self.root / "shop.toml"

    @property
    def catalogue_dir(self) -> Path:
        return self.root / "catalogue"

    @property
    def items_path(self) -> Path:
        return self.catalogue_dir / "items.parquet"

    @property
    def images_path(self) -> Path:
        return self.catalogue_dir / "images.parquet"

    @property
    def photos_path(self) -> Path:
        return self.root / "photos" / "photos.parquet"

    @property
    def catalogue_rejects_path(self) -> Path:
        return self.catalogue_dir / "rejects.jsonl"

    @property
    def events_dir(self) -> Path:
        return self.root / "events"

    @property
    def events_rejects_path(self) -> Path:
        return self.events_dir / "rejects.jsonl"

    def events_path(self, day: date) -> Path:
        """The events of one UTC day."""
        return self.events_dir / f"date={day.isoformat()}.parquet"

    @property
    def event_paths(self) -> list[Path]:
        """The day files that exist, oldest first."""
        return sorted(self.events_dir.glob("date=*.parquet"))

    @property
    def reviews_dir(self) -> Path:
        return self.root / "reviews"

    @property
    def reviews_path(self) -> Path:
        return self.reviews_dir / "reviews.parquet"

    @property
    def reviews_rejects_path(self) -> Path:
        return self.reviews_dir / "rejects.jsonl"

    @property
    def truth_dir(self) -> Path:
        return self.root / "truth"

    @property
    def search_truth_path(self) -> Path:
        return self.truth_dir / "search.parquet"

    @property
    def recommend_truth_path(self) -> Path:
        return self.truth_dir / "recommend.parquet"

    @property
    def similar_truth_path(self) -> Path:
        return self.truth_dir / "similar.parquet"

    @property
    def checkpoints_dir(self) -> Path:
        return self.root / "checkpoints"

    def checkpoint_dir(self, name: str) -> Path:
        """Where one trained model keeps model.safetensors and meta.json."""
        return self.checkpoints_dir / name

    @property
    def model_repository(self) -> Path:
        return self.root / "model_repository"

    @property
    def releases_dir(self) -> Path:
        return self.root / "releases"

    def release_dir(self, release_id: str) -> Path:
        """One immutable release."""
        return self.releases_dir / release_id

    @property
    def channels_path(self) -> Path:
        return self.releases_dir / "channels.json"

    @property
    def state_dir(self) -> Path:
        return self.root / "state"

    @property
    def store_path(self) -> Path:
        return self.state_dir / "store.lmdb"

    @property
    def run_dir(self) -> Path:
        return self.root / "run"

    @property
    def endpoints_path(self) -> Path:
        return self.run_dir / "endpoints.json"

    @property
    def triton_log_path(self) -> Path:
        return self.run_dir / "triton.log"

    @property
    def gateway_log_path(self) -> Path:
        return self.run_dir / "gateway.log"

    @property
    def has_items(self) -> bool:
        return self.items_path.is_file()

    @property
    def has_images(self) -> bool:
        return self.images_path.is_file()

    @property
    def has_photos(self) -> bool:
        return self.photos_path.is_file()

    @property
    def has_events(self) -> bool:
        return bool(self.event_paths)

    @property
    def has_reviews(self) -> bool:
        return self.reviews_path.is_file()

    def items(self) -> pl.LazyFrame:
        """The catalogue (ITEM_SCHEMA), sorted by item_id; WorkspaceError when none was imported."""
        if not self.has_items:
            raise WorkspaceError(f"{self.root}: no catalogue yet; bring one with 'shopfuse import catalog'")
        return pl.scan_parquet(self.items_path, hive_partitioning=False)

    def images(self) -> pl.LazyFrame:
        """The encoded pictures (IMAGE_SCHEMA) of the items that have one; empty when there are none."""
        if not self.has_images:
            return pl.LazyFrame(schema=IMAGE_SCHEMA)
        return pl.scan_parquet(self.images_path, hive_partitioning=False)

    def photos(self) -> pl.LazyFrame:
        """Photos (PHOTO_SCHEMA) of items as people take them, sorted by photo; empty when there are none."""
        if not self.has_photos:
            return pl.LazyFrame(schema=PHOTO_SCHEMA)
        return pl.scan_parquet(self.photos_path, hive_partitioning=False)

    def pictures(self) -> pl.LazyFrame:
        """Every picture of an item (IMAGE_SCHEMA): the catalogue's own, then photos; an item may have many or none."""
        return pl.concat([self.images(), self.photos().select(list(IMAGE_SCHEMA))])

    def events(self) -> pl.LazyFrame:
        """All events (EVENT_SCHEMA) by day, each day sorted by (timestamp, event_id); empty when there are none."""
        paths = self.event_paths
        if not paths:
            return pl.LazyFrame(schema=EVENT_SCHEMA)
        return pl.scan_parquet(paths, hive_partitioning=False)

    def reviews(self) -> pl.LazyFrame:
        """What buyers wrote (REVIEW_SCHEMA), sorted by review_id; empty when there is nothing."""
        if not self.has_reviews:
            return pl.LazyFrame(schema=REVIEW_SCHEMA)
        return pl.scan_parquet(self.reviews_path, hive_partitioning=False)
