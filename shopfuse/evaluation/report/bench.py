"""The shop as every section of the report sees it: its models, two moments, and the cases to rank at each.

The models run in this process (offline/offline_shop.py). Each way to rank is opened once, ranks every case, and is
dropped; sections read the rankings. Nothing is retrained and nothing is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.baselines import BASELINES, baselines
from shopfuse.evaluation.offline.demo_rankers import ABLATIONS, shop_inputs
from shopfuse.evaluation.offline.judged_cases import JudgedCase, Scorer, load_cases, load_similar_cases
from shopfuse.evaluation.offline.offline_shop import Models, ServedShop, World
from shopfuse.evaluation.report.held_out import HeldOut, held_out, request_cases, visit_cases
from shopfuse.evaluation.report.rankings import CaseSet, Ranking, ScoredCases, rank_all, scored
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import EventLog, load_event_log
from shopfuse.training.data.snapshot import Snapshot
from shopfuse.training.data.user_histories import last_moment, user_histories
from shopfuse.training.examples.item_inputs import ItemInputs

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]
STAGE = "rank the cases"
SURFACES = ("search", "recommend", "similar")
FUSED = "fused"
SHUFFLED = {f"shuffled {name}": name for name in MODALITIES}
# Which simple rows mean something where: a search has words, a recommendation a history, similar items a seed.
SIMPLE = {
    "search": tuple(name for name in BASELINES if name != "item_knn"),
    "recommend": tuple(name for name in BASELINES if name != "bm25"),
    "similar": tuple(name for name in BASELINES if name != "bm25"),
}


CASES, LISTS = 150, 1000  # enough for intervals of about 0.05, in some minutes


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many cases are drawn, at most."""

    cases: int = CASES  # of a surface and source
    lists: int = LISTS  # of held-out impressions


@dataclass(frozen=True, slots=True)
class Bench:
    """One shop with its models; `end` is a moment after its last event."""

    models: ShopModels
    inputs: ItemInputs
    end: World
    held_out: HeldOut | None
    past: World | None  # as it was when the held-out part began
    sets: tuple[CaseSet, ...]
    encode_texts: EncodeTexts
    folder: Path
    seed: int
    sizes: Sizes
    snapshots: dict[tuple[int, float], tuple[EventLog, Snapshot]] = field(default_factory=dict)  # by log and moment

    @property
    def catalogue(self) -> Catalogue:
        return self.end.catalogue

    @property
    def parts(self) -> Models:
        return Models.of(self.models)

    @property
    def main_source(self) -> str:
        """The truth where it is known, else the held-out part of the log."""
        return "truth" if any(cases.source == "truth" for cases in self.sets) else "held-out"

    def world(self, source: str) -> World:
        if source == "truth":
            return self.end
        assert self.past is not None
        return self.past

    def served(
        self, world: World, inputs: ItemInputs, sets: Sequence[CaseSet], without: Sequence[str] = ()
    ) -> ServedShop:
        """The models over a world, with these cases prepared."""
        shop = ServedShop(world, self.parts, inputs, self.folder / "vectors", without, self._snapshot(world))
        for cases in sets:
            shop.prepare(cases.cases, cases.queries)
        return shop

    def _snapshot(self, world: World) -> Snapshot:
        """The indexes of a world, built once: what differs between ways to rank are the vectors."""
        key = (id(world.log), world.at)
        if key not in self.snapshots:
            whole = ServedShop(world, self.parts, self.inputs, self.folder / f"world-{len(self.snapshots)}")
            self.snapshots[key] = (world.log, whole.snapshot)  # the log is held, so that its id stays its own
        return self.snapshots[key][1]


def open_bench(
    workspace: Workspace,
    models: ShopModels,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    folder: Path,
    *,
    seed: int = 0,
    sizes: Sizes | None = None,
) -> Bench:
    """Reads the shop and draws the cases. `text_vectors` [N, D] are the catalogue's; `folder` is for scratch files."""
    sizes = sizes or Sizes()
    images = workspace.images().select("item_id").collect()["item_id"]
    catalogue = load_catalogue(workspace.items().collect(), images, workspace.settings.languages)
    log = load_event_log(workspace.events(), catalogue, models.scenes)
    inputs = shop_inputs(workspace, models, catalogue, text_vectors)
    histories = user_histories(log.events, len(log.users), catalogue.group)
    end = World(catalogue, log, histories, text_vectors, last_moment(workspace.events()))
    late = held_out(log, models)
    past = None if late is None else replace(end, at=late.since)
    bench = Bench(models, inputs, end, late, past, (), encode_texts, folder, seed, sizes)
    return replace(bench, sets=tuple(_case_sets(workspace, bench)))


def _case_sets(workspace: Workspace, bench: Bench) -> Iterator[CaseSet]:
    """The sets that hold a case."""
    for surface in SURFACES:
        for source, cases in (("truth", _truth(workspace, bench, surface)), ("held-out", _logged(bench, surface))):
            if cases:
                yield case_set(bench, surface, source, cases)


def case_set(bench: Bench, surface: str, source: str, cases: list[JudgedCase]) -> CaseSet:
    """Cases with the text embeddings of their queries."""
    queries = np.zeros((len(cases), bench.end.text_vectors.shape[1]), np.float32)
    if any(case.query for case in cases):
        queries = bench.encode_texts([case.query for case in cases]).astype(np.float32)
    return CaseSet(surface, source, cases, queries)


def _truth(workspace: Workspace, bench: Bench, surface: str) -> list[JudgedCase]:
    paths = {
        "search": workspace.paths.search_truth,
        "recommend": workspace.paths.recommend_truth,
        "similar": workspace.paths.similar_truth,
    }
    if not paths[surface].is_file():
        return []
    if surface == "similar":
        return load_similar_cases(paths[surface], bench.catalogue)[: bench.sizes.cases]
    return load_cases(paths[surface], bench.catalogue, bench.end.log)[: bench.sizes.cases]


def _logged(bench: Bench, surface: str) -> list[JudgedCase]:
    if bench.held_out is None:
        return []
    log, since, most = bench.end.log, bench.held_out.since, bench.sizes.cases
    if surface == "similar":
        return visit_cases(log, bench.catalogue, since, most, bench.seed)
    return request_cases(log, bench.catalogue, since, surface, most, bench.seed)


def score_rows(bench: Bench, progress: Progress) -> tuple[ScoredCases, ...]:
    """Every set of cases, ranked by the fused ranker and the simple rows; the main source by the ablations, too."""
    rankings: dict[str, dict[str, list[Ranking]]] = {cases.name: {} for cases in bench.sets}
    plan = [(source, name) for source in _sources(bench) for name in _variants(bench, source)]
    for done, (source, name) in enumerate(plan):
        progress(STAGE, done, len(plan))
        sets = [cases for cases in bench.sets if cases.source == source]
        shop = _variant(bench, source, name, sets)
        rows = {name: shop.scorer()} | (baselines(shop.snapshot, shop.recall_query) if name == FUSED else {})
        for cases in sets:
            for row, scorer in _wanted(rows, cases.surface):
                rankings[cases.name][row] = rank_all(cases.cases, scorer)
    progress(STAGE, len(plan), len(plan))
    return tuple(scored(cases, rankings[cases.name]) for cases in bench.sets)


def _sources(bench: Bench) -> list[str]:
    return [source for source in ("truth", "held-out") if any(cases.source == source for cases in bench.sets)]


def _variants(bench: Bench, source: str) -> list[str]:
    return [*ABLATIONS, *SHUFFLED] if source == bench.main_source else [FUSED]


def _wanted(rows: dict[str, Scorer], surface: str) -> list[tuple[str, Scorer]]:
    return [(name, scorer) for name, scorer in rows.items() if name not in BASELINES or name in SIMPLE[surface]]


def _variant(bench: Bench, source: str, name: str, sets: Sequence[CaseSet]) -> ServedShop:
    world = bench.world(source)
    if name in SHUFFLED:
        return bench.served(*shuffled(world, bench.inputs, SHUFFLED[name], bench.seed), sets)
    return bench.served(world, bench.inputs, sets, ABLATIONS[name])


def shuffled(world: World, inputs: ItemInputs, modality: str, seed: int) -> tuple[World, ItemInputs]:
    """The world with the vectors of one modality permuted over the items that have it, in towers and indexes alike.

    Words, counts and rates stay where they are: only the embeddings lie.
    """
    column = MODALITIES.index(modality)
    have = np.flatnonzero(inputs.presence[:, column].numpy() > 0)
    source = np.arange(len(inputs))
    source[have] = np.random.default_rng(seed).permutation(have)
    moved = replace(inputs, **{modality: getattr(inputs, modality)[torch.from_numpy(source)]})
    return (replace(world, text_vectors=world.text_vectors[source]) if modality == "text" else world), moved
