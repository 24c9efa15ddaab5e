"""What a release is built from beside its models: the catalogue and its events, read once for all steps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import EventLog, Events, load_event_log
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.user_histories import last_moment
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
    """Raises WorkspaceError or BuildError where there is no item."""
    items = workspace.items().collect()
    if items.is_empty():
        raise BuildError(f"{workspace.paths.items}: the catalogue holds no item; import one first")
    with_image = workspace.images().select("item_id").collect()["item_id"]
    return load_catalogue(items, with_image, workspace.settings.language)


def load_shop(workspace: Workspace, catalogue: Catalogue, scenes: tuple[str, ...]) -> Shop:
    """The state of the shop from which the release's indexes and the store's rows are computed."""
    log = load_event_log(workspace.events(), catalogue, scenes)
    at = last_moment(workspace.events()) or time.time()
    return Shop(catalogue, log, at, item_rows_at(catalogue, log.events, at))
