"""NDCG@10 against the demo shop's true relevance, in this process: the fused ranker, the same with modalities taken
away, and the baselines; of one shop or pooled over several. No printing, no serving; nothing is retrained for a row.
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
from shopfuse.evaluation.offline.judged_cases import JudgedCase, Quality, Scorer, load_cases, quality
from shopfuse.evaluation.offline.offline_shop import Models, ServedShop, World
from shopfuse.evaluation.offline.seed_shops import EncodedShop
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.user_histories import last_moment, user_histories
from shopfuse.training.examples.item_inputs import ItemInputs, item_inputs
from shopfuse.training.models.image_vectors import AnyEncoder, image_vectors
from shopfuse.training.trainers.build_models import build_models

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
STAGE = "evaluate"
SURFACES = ("search", "recommend")
# Rows of the fused ranker: which modalities are masked, in the item tower's presence, the ranker's masks, and the
# channels and features that are computed from them.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "fused": (),
    **{f"without {name}": (name,) for name in MODALITIES},
    **{f"{name} only": tuple(other for other in MODALITIES if other != name) for name in MODALITIES},
}
ROWS = (*ABLATIONS, *BASELINES)


@dataclass(frozen=True, slots=True)
class RankerRow:
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
) -> list[RankerRow]:
    """The rows called `names`, in the order of ROWS. ShopfuseError where the workspace knows no truth."""
    if unknown := sorted(set(names) - set(ROWS)):
        raise ShopfuseError(f"evaluation row {unknown[0]!r}: expected one of {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory(prefix="shopfuse-evaluate-") as folder:
        bench = _Bench.open(workspace, models, text_vectors, encode_texts, Path(folder))
        rows: list[RankerRow] = []
        for name in (name for name in ROWS if name in names):
            progress(STAGE, len(rows), len(names))
            served = bench.served(ABLATIONS.get(name, ()))
            scorer = served.scorer() if name in ABLATIONS else baselines(served.snapshot, served.recall_query)[name]
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
) -> list[RankerRow]:
    """A row for each ranker with its weights of the tasks, all over the towers and indexes of `models`."""
    with tempfile.TemporaryDirectory(prefix="shopfuse-evaluate-") as folder:
        bench = _Bench.open(workspace, models, text_vectors, encode_texts, Path(folder))
        served = bench.served(())
        rows: list[RankerRow] = []
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
    search: list[JudgedCase]
    recommend: list[JudgedCase]
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
        catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.languages)
        log = load_event_log(workspace.events(), catalogue, models.scenes)
        search = load_cases(workspace.paths.search_truth, catalogue, log)
        histories = user_histories(log.events, len(log.users), catalogue.group)
        inputs = shop_inputs(workspace, models, catalogue, text_vectors)
        return cls(
            World(catalogue, log, histories, text_vectors, last_moment(workspace.events())),
            Models.of(models),
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

    def row(self, name: str, scorer: Scorer) -> RankerRow:
        return RankerRow(name, quality(self.search, scorer), quality(self.recommend, scorer))


@dataclass(frozen=True, slots=True)
class Pooled:
    """One row over all seeds: NDCG@10 of every case, and the mean of each seed."""

    values: NDArray[np.float64]
    seed_means: tuple[float, ...]

    def summary(self, fused: Pooled) -> dict[str, object]:
        low, high = bootstrap_interval(self.values)
        lead_low, lead_high = bootstrap_interval(fused.values - self.values)
        return {
            "ndcg@10": float(self.values.mean()),
            "low": low,
            "high": high,
            "seeds": list(self.seed_means),
            "fused_leads_by": float((fused.values - self.values).mean()),
            "lead_low": lead_low,
            "lead_high": lead_high,
        }


def trained_rows(shop: EncodedShop, progress: Progress) -> list[RankerRow]:
    """Trains the shop's models and ranks every case in every way."""
    encode = shop.encoding.encode
    models = build_models(shop.workspace, shop.vectors, encode, seed=shop.seed, fusion="attention", progress=progress)
    return ndcg_table(shop.workspace, models, shop.vectors, encode, progress=progress)


def _pooled(tables: Sequence[Sequence[RankerRow]], surface: str) -> dict[str, Pooled]:
    names = [row.name for row in tables[0]]
    result = {}
    for at, name in enumerate(names):
        parts = [getattr(table[at], surface) for table in tables]
        result[name] = Pooled(np.concatenate([part.values for part in parts]), tuple(part.mean for part in parts))
    return result


def summaries_by_surface(tables: Sequence[Sequence[RankerRow]]) -> dict[str, dict[str, dict[str, object]]]:
    """surface -> row -> its figures over all seeds; `tables` are the rows of each seed's shop."""
    pooled = {surface: _pooled(tables, surface) for surface in SURFACES}
    return {
        surface: {name: row.summary(rows["fused"]) for name, row in rows.items()} for surface, rows in pooled.items()
    }
