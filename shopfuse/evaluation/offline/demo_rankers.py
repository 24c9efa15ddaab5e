"""NDCG@10 against the demo shop's true relevance, in this process: the fused ranker, the same with modalities taken
away, and the baselines. No printing, no serving; nothing is retrained for a row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.baselines import BASELINES, baselines
from shopfuse.evaluation.offline.offline_shop import Models, ServedShop, World
from shopfuse.evaluation.offline.truth_cases import Case, Quality, Scorer, load_cases, quality
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.user_histories import last_moment, user_histories
from shopfuse.training.examples.item_inputs import ItemInputs, item_inputs
from shopfuse.training.models.image_vectors import AnyEncoder, image_vectors

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
STAGE = "evaluate"
# Rows of the fused ranker: which modalities are masked, in the item tower's presence, the ranker's masks, and the
# channels and features that are computed from them.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "fused": (),
    **{f"without {name}": (name,) for name in MODALITIES},
    **{f"{name} only": tuple(other for other in MODALITIES if other != name) for name in MODALITIES},
}
ROWS = (*ABLATIONS, *BASELINES)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to rank, on both surfaces."""

    name: str
    search: Quality
    recommend: Quality


def ndcg_table(
    workspace: Workspace,
    models: ShopModels,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    names: Sequence[str] = ROWS,
    progress: Progress = silent,
) -> list[Row]:
    """The rows called `names`, in the order of ROWS. ShopfuseError where the workspace knows no truth."""
    if unknown := sorted(set(names) - set(ROWS)):
        raise ShopfuseError(f"evaluation row {unknown[0]!r}: expected one of {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory(prefix="shopfuse-evaluate-") as folder:
        bench = _Bench.open(workspace, models, text_vectors, encode_texts, Path(folder))
        rows: list[Row] = []
        for name in (name for name in ROWS if name in names):
            progress(STAGE, len(rows), len(names))
            served = bench.served(ABLATIONS.get(name, ()))
            scorer = served.scorer() if name in ABLATIONS else baselines(served.snapshot, served.ask)[name]
            rows.append(bench.row(name, scorer))
        progress(STAGE, len(names), len(names))
    return rows


def rows_of_rankers(
    workspace: Workspace,
    models: ShopModels,
    rankers: Mapping[str, tuple[nn.Module, dict[str, float]]],
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    progress: Progress = silent,
) -> list[Row]:
    """A row for each ranker with its weights of the tasks, all over the towers and indexes of `models`."""
    with tempfile.TemporaryDirectory(prefix="shopfuse-evaluate-") as folder:
        bench = _Bench.open(workspace, models, text_vectors, encode_texts, Path(folder))
        served = bench.served(())
        rows: list[Row] = []
        for name, (ranker, tasks) in rankers.items():
            progress(STAGE, len(rows), len(rankers))
            rows.append(bench.row(name, served.with_ranker(ranker, tasks).scorer()))
        progress(STAGE, len(rankers), len(rankers))
    return rows


def shop_inputs(
    workspace: Workspace, models: ShopModels, catalogue: Catalogue, text_vectors: NDArray[np.float32]
) -> ItemInputs:
    """What the item tower is given of the whole catalogue. `text_vectors` are [N, D]."""
    encoder = cast(AnyEncoder | None, models.image_encoder)
    return item_inputs(
        text_vectors,
        catalogue.attributes,
        image_vectors(encoder, workspace.all_images(), catalogue),
        catalogue.has_image & (encoder is not None),
        models.behaviour_embeddings,
        models.behaviour_present,
    )


@dataclass(frozen=True, slots=True)
class _Bench:
    world: World
    models: Models
    inputs: ItemInputs
    search: list[Case]
    recommend: list[Case]
    queries: NDArray[np.float32]  # text embeddings of the searches
    folder: Path

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        models: ShopModels,
        text_vectors: NDArray[np.float32],
        encode_texts: EncodeTexts,
        folder: Path,
    ) -> _Bench:
        images = workspace.images().select("item_id").collect()["item_id"]
        catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.language)
        log = load_event_log(workspace.events(), catalogue, models.scenes)
        search = load_cases(workspace.paths.search_truth, catalogue, log)
        histories = user_histories(log.events, len(log.users))
        inputs = shop_inputs(workspace, models, catalogue, text_vectors)
        return cls(
            World(catalogue, log, histories, text_vectors, last_moment(workspace.events())),
            Models(models.item_tower, models.query_tower, models.user_tower, models.fusion_ranker, models.tasks),
            inputs,
            search,
            load_cases(workspace.paths.recommend_truth, catalogue, log),
            encode_texts([case.query for case in search]).astype(np.float32),
            folder,
        )

    def served(self, without: Sequence[str]) -> ServedShop:
        shop = ServedShop(self.world, self.models, self.inputs, self.folder, without)
        shop.prepare(self.search, self.queries)
        shop.prepare(self.recommend, np.zeros((len(self.recommend), self.queries.shape[1]), np.float32))
        return shop

    def row(self, name: str, scorer: Scorer) -> Row:
        return Row(name, quality(self.search, scorer), quality(self.recommend, scorer))
