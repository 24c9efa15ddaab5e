"""Recommendations to shoppers of whom only the newest few events are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shopfuse.evaluation.offline.baselines import baselines
from shopfuse.evaluation.offline.judged_cases import JudgedCase
from shopfuse.evaluation.offline.offline_shop import ServedShop
from shopfuse.evaluation.report.bench import FUSED
from shopfuse.evaluation.report.context import ReportContext
from shopfuse.evaluation.report.rankings import Ranking, measures, rank_all
from shopfuse.evaluation.report.section import Cell, Estimate, Line, Lines, Table
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.training.data.user_histories import UserHistories

DEPTHS = (0, 1, 3, 10)  # events of a shopper that are kept, the newest ones
BEHAVIOUR_ONLY = "behaviour only"
WITHOUT = ("text", "image")
SIMPLE = ("item_knn", "popularity")


def cold_users(context: ReportContext) -> tuple[Lines, Table] | None:
    """NDCG@10 by events known, of the same shoppers at every point; None where nobody has enough to take away."""
    part, bench = context.of("recommend"), context.bench
    if part is None:
        return None
    world = bench.world(part.cases.source)
    known = [case for case in part.cases.cases if _events(world.histories, case, world.at) >= max(DEPTHS)]
    if not known:
        return None
    fused = bench.served(world, bench.inputs, [])
    behaviour = bench.served(world, bench.inputs, [], WITHOUT)
    points: dict[str, list[Estimate]] = {}
    for depth in DEPTHS:
        histories, cases = cut_histories(world.histories, known, world.at, depth)
        for name, rankings in _rankings(fused, behaviour, histories, cases).items():
            points.setdefault(name, []).append(context.mean(measures(cases, rankings).ndcg))
    return _drawn(points)


def _drawn(points: dict[str, list[Estimate]]) -> tuple[Lines, Table]:
    places = tuple(float(place) for place in range(len(DEPTHS)))
    lines = tuple(Line(name, places, tuple(values)) for name, values in points.items())
    title = "Recommendations by events known of the shopper"
    plot = Lines(title, "events known", "NDCG@10", lines, ticks=tuple(map(str, DEPTHS)))
    rows: tuple[tuple[Cell, ...], ...] = tuple((name, *values) for name, values in points.items())
    return plot, Table(f"{title}, NDCG@10", ("row", *(f"{depth} events" for depth in DEPTHS)), rows)


def _events(histories: UserHistories, case: JudgedCase, end: float) -> int:
    return len(histories.entries(case.user, end if case.at is None else case.at))


def cut_histories(
    histories: UserHistories, cases: Sequence[JudgedCase], end: float, depth: int
) -> tuple[UserHistories, list[JudgedCase]]:
    """Histories of the newest `depth` events before each case, one shopper a case, and the cases of these shoppers."""
    kept = []
    for case in cases:
        entries = histories.entries(case.user, end if case.at is None else case.at)
        kept.append(entries[len(entries) - depth :] if depth < len(entries) else entries)
    starts = np.concatenate([[0], np.cumsum([len(entries) for entries in kept])]).astype(np.int64)
    places = np.concatenate(kept)
    cut = UserHistories(histories.events.take(places), histories.variants[places], starts)
    return cut, [replace(case, user=place) for place, case in enumerate(cases)]


def _rankings(
    fused: ServedShop, behaviour: ServedShop, histories: UserHistories, cases: list[JudgedCase]
) -> dict[str, list[Ranking]]:
    queries = np.zeros((len(cases), fused.snapshot.indexes[TEXT_INDEX].vectors.shape[1]), np.float32)
    shops = {FUSED: fused.with_histories(histories), BEHAVIOUR_ONLY: behaviour.with_histories(histories)}
    for shop in shops.values():
        shop.prepare(cases, queries)
    simple = baselines(shops[FUSED].snapshot, shops[FUSED].recall_query)
    rows = {name: shop.scorer() for name, shop in shops.items()} | {name: simple[name] for name in SIMPLE}
    return {name: rank_all(cases, scorer) for name, scorer in rows.items()}
