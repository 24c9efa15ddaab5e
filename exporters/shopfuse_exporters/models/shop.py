"""What a release is built from beside its models: the catalogue and its events, read once for all steps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.cut import enough_to_train
from shopfuse.training.data.event_log import EventLog, Events, load_event_log
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.user_histories import last_moment, user_histories
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse.training.trainers.shop import ShopData
from shopfuse.training.trainers.tuned_settings import settings_of
from shopfuse_exporters.encoding.encoder import export_text_encoder, open_encoder
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.errors import BuildError


@dataclass(frozen=True, slots=True)
class Shop:
    """The catalogue and events as of `at`, a moment after the last event (now, where there is none)."""

    catalogue: Catalogue
    log: EventLog
    at: float
    item_rows: NDArray[np.void]  # ITEM_ROW [N]

    @property
    def known(self) -> Events:
        """The events of the log up to that moment."""
        return self.log.events.before(self.at)


def load_catalogue_of(workspace: Workspace) -> Catalogue:
    """With retired items, from which training learns. Raises WorkspaceError or BuildError where no item is left."""
    if workspace.items().head(1).collect().is_empty():
        raise BuildError(f"{workspace.paths.items}: the catalogue holds no item; import one first")
    items = workspace.all_items().collect()
    with_image = workspace.images().select("item_id").collect()["item_id"]
    return load_catalogue(items, with_image, workspace.settings.languages)


def load_shop(workspace: Workspace, catalogue: Catalogue, scenes: tuple[str, ...]) -> Shop:
    """The state of the shop from which the release's indexes and the store's rows are computed."""
    log = load_event_log(workspace.events(), catalogue, scenes)
    at = last_moment(workspace.events()) or time.time()
    return Shop(catalogue, log, at, item_rows_at(catalogue, log.events, at))


def load_shop_data(shop: Workspace, seed: int, progress: Progress) -> ShopData:
    """Catalogue, events and text embeddings, as a build reads them.

    Raises TunedError for a file of settings that cannot be used, ShopfuseError where there is too little to learn from.
    """
    settings = settings_of(shop.root)
    catalogue = load_catalogue_of(shop)
    log = load_event_log(shop.events(), catalogue)
    if not enough_to_train(log):
        raise ShopfuseError(f"{shop.root}: too few events to train on, so that there is nothing to tune")
    loaded = load_text_encoder(encoder_name(shop))
    progress("export text_encoder", 0, 0)
    encoder = open_encoder(shop, loaded, export_text_encoder(shop, loaded))
    vectors, _ = encode_texts(catalogue.texts(), encoder.encoding, encoder.cache, progress)
    histories = user_histories(log.events, len(log.users), catalogue.group)
    encode = encoder.encoding.encode
    return ShopData(shop, catalogue, log, histories, vectors.astype(np.float32), encode, seed, progress, settings)
