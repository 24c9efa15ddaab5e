"""`shopfuse evaluate search --cross-validate K`: what a shop's judgments say about its weights, and keeping them.

Prints, for each part of the queries, the weights that the other parts chose and how well they did there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shopfuse.cli.console import out, print_json, print_table
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.search_weights import write_search_weights
from shopfuse.evaluation.judgments import Topic
from shopfuse.evaluation.offline.release_rows import open_offline_rows
from shopfuse.evaluation.offline.weight_search import WeightSearch, search_weights
from shopfuse.local.stack import stable_release
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.fusion import channel_weights
from shopfuse.state.lmdb_store import LmdbStore


def validate_weights(
    workspace: Path, topics: Sequence[Topic], judgments: Path, folds: int, keep: bool, as_json: bool
) -> None:
    """Raises WeightSearchError where there are too few topics."""
    search = cross_validate(workspace, topics, folds)
    kept = save(workspace, search, judgments) if keep else None
    report(search, as_json)
    if kept and not as_json:
        out.print(f"kept in {kept}: the next build uses them")


def cross_validate(workspace: Path, topics: Sequence[Topic], folds: int) -> WeightSearch:
    """Chooses weights for the served release's channels. Raises WeightSearchError where there are too few topics."""
    manifest = stable_release(workspace)
    with LmdbStore.open(WorkspacePaths(workspace).store) as store:
        pools = open_offline_rows(workspace, manifest, store).judged_pools([t for t in topics if t.answerable])
    in_use = channel_weights(is_search=True, learned=manifest.search_weights)
    return search_weights(pools, dict(zip(CHANNELS, in_use.tolist(), strict=True)), folds)


def save(workspace: Path, search: WeightSearch, judgments: Path) -> Path:
    """Keeps the chosen weights for the next build."""
    made_by = {
        "judgments_sha256": hashlib.sha256(judgments.read_bytes()).hexdigest(),
        "queries": sum(fold.queries for fold in search.folds),
        "folds": len(search.folds),
        "ndcg@10_held_out": search.held_out,
        "ndcg@10_of_the_weights_before": search.in_use,
    }
    return write_search_weights(workspace, search.chosen, made_by)


def report(search: WeightSearch, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(search), "held_out": search.held_out})
        return
    table = [
        [*_row(f"part {number}", fold.queries, fold.weights), *_both(fold.held_out), *_both(fold.in_use)]
        for number, fold in enumerate(search.folds, 1)
    ]
    queries = sum(fold.queries for fold in search.folds)
    table.append(["held out", queries, "", *_both(search.held_out), *_both(search.in_use)])
    table.append([*_row("chosen on all", queries, search.chosen), *_both(search.measured), *_both(search.in_use)])
    columns = ("queries left out", "n", "weights", "ndcg@10", "condensed", "in use", "in use, condensed")
    print_table("weights chosen on the other queries", columns, table)
    out.print("'chosen on all' was measured on the queries that chose it: the honest figure is 'held out'")


def _row(name: str, queries: int, weights: Mapping[str, float]) -> list[Any]:
    return [name, queries, " ".join(f"{channel} {weight:g}" for channel, weight in weights.items() if weight)]


def _both(values: tuple[float, float]) -> list[float]:
    return [round(value, 4) for value in values]
