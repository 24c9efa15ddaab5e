"""Each recall channel of a release alone: what it brings for a user at a moment, opened without a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.evaluation.offline.holdout import Holdout
from shopfuse.evaluation.offline.past import KEPT
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.ranking.channels import RECOMMEND
from shopfuse.ranking.features import Context, History, context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.recall.arrays import open_array
from shopfuse.recall.channels import search
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.user_history import user_history
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.state.lmdb_store import LmdbStore


@dataclass(frozen=True, slots=True)
class ReleaseChannels:
    """The release, opened as a gateway opens it."""

    indexes: RecallIndexes
    store: LmdbStore
    user_tower: OnnxModel
    item_vectors: NDArray[np.float16]  # [N, 128]
    scenes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The channels that find candidates for a recommendation."""
        return [row.name for row in self.indexes.table if RECOMMEND in row.feeds or (row.stands_in and row.finds)]

    def query(self, user_id: str, at: float) -> RecallQuery:
        """What a recommendation for the user looks for at a moment."""
        state = self.store.users([user_id])[0].before(at)
        history = user_history(state, self.indexes.items, self.store.items, at)
        return RecallQuery.of_user(history, behaviour_vector=self._user_vector(history, at))

    def _user_vector(self, history: History, at: float) -> NDArray[np.float32] | None:
        if not (history.rows >= 0).any():
            return None
        tensors = history_tensors(history, self.item_vectors, at)
        context = context_features(Context(at), int(tensors["history_mask"].sum()), self.scenes)
        batch = {name: values[None] for name, values in {**tensors, "context": context}.items()}
        vector: NDArray[np.float32] = self.user_tower.run(batch)["user_vector"][0].astype(np.float32)
        return vector


def channel_rows(
    workspace: Path, manifest: Manifest, holdout: Holdout, progress: Progress
) -> dict[str, NDArray[np.int32]]:
    """By channel the rankings of the holdout's users, [U, KEPT], -1 where it brings fewer. All items may be found."""
    layout = ReleaseLayout(WorkspacePaths(workspace).release(manifest.release_id))
    with LmdbStore.open(WorkspacePaths(workspace).store) as store:
        channels = ReleaseChannels(
            RecallIndexes.open(layout),
            store,
            ReleaseModels(layout, manifest).open("user_tower"),
            open_array(layout.item_vectors, np.float16, 2),
            manifest.scenes,
        )
        rankings = {name: np.full((len(holdout), KEPT), -1, np.int32) for name in channels.names}
        for place, (user_id, at) in enumerate(zip(holdout.users, holdout.at.tolist(), strict=True)):
            query = channels.query(user_id, at)
            for name, ranking in rankings.items():
                if channels.indexes.channels[name].applies(query):
                    rows = search(channels.indexes, name, query, KEPT).rows
                    ranking[place, : len(rows)] = rows
            progress("recall channels alone", place + 1, len(holdout))
    return rankings
