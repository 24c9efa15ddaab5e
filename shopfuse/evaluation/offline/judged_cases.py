"""Cases to rank: who asks what in which scene, and the grade of every item. The demo shop's truth comes as cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.metrics.ndcg import dcg
from shopfuse.ranking.channels import RECOMMEND, SEARCH, SIMILAR, Surface
from shopfuse.ranking.text import normalise_query
from shopfuse.ranking.user_state import PURCHASED
from shopfuse.recall.selection import Selection
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import EventLog

K = 10
NO_SEED = -1


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """One search (with a query), items like one item (with a `seed`), or one shopper's recommendations.

    `user` is -1 for a stranger.
    """

    query: str
    user: int
    scene: str
    grades: NDArray[np.float32]  # [N]
    allowed: NDArray[np.bool_]  # [N] items that may be ranked: available, and not bought by the shopper before
    at: float | None = None  # seconds; None: the moment of the evaluation
    device: str = ""
    seed: int = NO_SEED  # row of the item to find others like

    @property
    def surface(self) -> Surface:
        if self.seed != NO_SEED:
            return SIMILAR
        return SEARCH if self.query else RECOMMEND

    @property
    def selection(self) -> Selection:
        return Selection(self.allowed)


Scorer = Callable[[JudgedCase], NDArray[np.float32]]  # a score for every item [N]; higher is better


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean NDCG@10 with its 95 % bootstrap interval, and the values it is the mean of."""

    mean: float
    low: float
    high: float
    values: NDArray[np.float64]


def load_cases(path: Path, catalogue: Catalogue, log: EventLog) -> list[JudgedCase]:
    """The cases of a judgements file in order. Recommendations leave out what the shopper bought, searches do not."""
    if not path.is_file():
        raise ShopfuseError(f"{path}: no judgements; only the demo shop knows the true relevance")
    frame = pl.read_parquet(path)
    has_query = "query" in frame.columns
    keys = ["query", "user_id", "scene"] if has_query else ["user_id", "scene"]
    users = {user: code for code, user in enumerate(log.users)}
    cases = []
    for key, rows in frame.group_by(keys, maintain_order=True):
        query = normalise_query(str(key[0])) if has_query else ""
        user = users.get(str(key[-2]), -1)
        grades = np.zeros(len(catalogue), np.float32)
        places = catalogue.rows(rows["item_id"])
        grades[places[places >= 0]] = rows["grade"].to_numpy()[places >= 0]
        allowed = catalogue.available.copy()
        if not has_query:
            allowed[_bought(log, user)] = False
        cases.append(JudgedCase(query, user, str(key[-1] or ""), grades, allowed))
    return cases


def load_similar_cases(path: Path, catalogue: Catalogue) -> list[JudgedCase]:
    """The cases of a file of judged similar items (seed_item_id, item_id, grade) in order; a stranger asks."""
    frame = pl.read_parquet(path)
    cases = []
    for (seed_id,), rows in frame.group_by("seed_item_id", maintain_order=True):
        seed = int(catalogue.rows(pl.Series([seed_id], dtype=pl.String))[0])
        places = catalogue.rows(rows["item_id"])
        if seed >= 0:
            grades = np.zeros(len(catalogue), np.float32)
            grades[places[places >= 0]] = rows["grade"].to_numpy()[places >= 0]
            allowed = catalogue.available.copy()
            allowed[seed] = False
            cases.append(JudgedCase("", -1, "", grades, allowed, seed=seed))
    return cases


def _bought(log: EventLog, user: int) -> NDArray[np.int32]:
    events = log.events
    bought: NDArray[np.int32] = events.row[(events.user == user) & PURCHASED[events.kind]]
    return bought


def quality(cases: list[JudgedCase], scorer: Scorer, *, seed: int = 0) -> Quality:
    """NDCG@10 of the ranking of all allowed items by the scorer; equal scores keep the order of the rows."""
    values = np.array([_ndcg(case, scorer(case)) for case in cases], np.float64)
    low, high = bootstrap_interval(values, seed=seed)
    return Quality(float(values.mean()) if len(values) else 0.0, low, high, values)


def _ndcg(case: JudgedCase, scores: NDArray[np.float32]) -> float:
    ranked = np.argsort(-np.where(case.allowed, scores, -np.inf), kind="stable")[:K]
    ideal = dcg(np.sort(case.grades)[::-1][:K].tolist())
    return dcg(case.grades[ranked].tolist()) / ideal if ideal > 0 else 0.0
