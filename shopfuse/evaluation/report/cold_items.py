"""Items that nobody has met: a share of the items is made new by taking every event on it and its behaviour away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.evaluation.offline.baselines import baselines
from shopfuse.evaluation.offline.judged_cases import JudgedCase
from shopfuse.evaluation.offline.offline_shop import World
from shopfuse.evaluation.report.bench import FUSED
from shopfuse.evaluation.report.cold_users import BEHAVIOUR_ONLY, WITHOUT
from shopfuse.evaluation.report.context import SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import Ranking, ScoredCases, measures, rank_all
from shopfuse.evaluation.report.section import Bars, Cell, Table
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.data.user_histories import user_histories
from shopfuse.training.examples.item_inputs import ItemInputs

COLD_SHARE = 0.1
SURFACES = ("search", "recommend")
SIMPLE = ("semantic",)
ROWS = (FUSED, BEHAVIOUR_ONLY, *SIMPLE)


def cold_items(context: ReportContext) -> tuple[Bars, Table] | None:
    """How well new items are ranked among themselves and found among all; None where no case wants one."""
    measured = {}
    for surface in SURFACES:
        part = context.of(surface)
        if part is not None and (values := _measured(context, part)):
            measured[surface] = values
    if not measured:
        return None
    labels = tuple(SURFACE_NAMES[surface] for surface in measured)
    series = {name: tuple(context.mean(measured[surface][name][0]) for surface in measured) for name in ROWS}
    rows: list[tuple[Cell, ...]] = []
    for surface, values in measured.items():
        for name in ROWS:
            among, recalled = values[name]
            lead = None if name == FUSED else context.mean(values[FUSED][0] - among)
            rows.append((SURFACE_NAMES[surface], name, context.mean(among), context.mean(recalled), lead))
    columns = ("surface", "row", "NDCG@10 among new items", "recall@100 among all", "fused leads NDCG@10 by")
    title = f"New items ({COLD_SHARE:.0%} of the catalogue without any event)"
    return Bars(title, "NDCG@10 among new items", labels, series), Table(title, columns, tuple(rows))


def _measured(context: ReportContext, part: ScoredCases) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(NDCG@10 when only new items may be shown, recall@100 of new items among all) of the rows, by case."""
    bench = context.bench
    random = np.random.default_rng(context.seed)
    cold = (random.random(len(bench.catalogue)) < COLD_SHARE)[bench.catalogue.group]
    all_cases = [_wanting(case, cold) for case in part.cases.cases]
    places = [place for place, case in enumerate(all_cases) if case.grades.any()]
    if not places:
        return {}
    everywhere = [all_cases[place] for place in places]
    among = [replace(case, allowed=case.allowed & cold) for case in everywhere]
    world, inputs = without_events(bench.world(part.cases.source), bench.inputs, cold)
    first, second = (_rankings(context, part, world, inputs, cases, places) for cases in (among, everywhere))
    return {name: (measures(among, first[name]).ndcg, measures(everywhere, second[name]).recall) for name in ROWS}


def _wanting(case: JudgedCase, cold: NDArray[np.bool_]) -> JudgedCase:
    """The case, of which only new items count."""
    return replace(case, grades=np.where(cold & case.allowed, case.grades, 0.0).astype(np.float32))


def without_events(world: World, inputs: ItemInputs, cold: NDArray[np.bool_]) -> tuple[World, ItemInputs]:
    """The world as if nobody had ever met the items `cold` [N], in indexes, histories and behaviour vectors."""
    events = world.log.events
    known = replace(world.log, events=events.take(~cold[events.row]))
    presence = inputs.presence.clone()
    presence[torch.from_numpy(cold), MODALITIES.index("behaviour")] = 0.0
    histories = user_histories(known.events, len(known.users), world.catalogue.group)
    return replace(world, log=known, histories=histories), replace(inputs, presence=presence)


def _rankings(
    context: ReportContext,
    part: ScoredCases,
    world: World,
    inputs: ItemInputs,
    cases: list[JudgedCase],
    places: list[int],
) -> dict[str, list[Ranking]]:
    shops = {
        FUSED: context.bench.served(world, inputs, []),
        BEHAVIOUR_ONLY: context.bench.served(world, inputs, [], WITHOUT),
    }
    for shop in shops.values():
        shop.prepare(cases, part.cases.queries[places])
    simple = baselines(shops[FUSED].snapshot, shops[FUSED].recall_query)
    rows = {name: shop.scorer() for name, shop in shops.items()} | {name: simple[name] for name in SIMPLE}
    return {name: rank_all(cases, scorer) for name, scorer in rows.items()}
