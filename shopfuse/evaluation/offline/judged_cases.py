"""Cases to rank: who asks what in which scene, and the grade of every item. The demo shop's truth comes as cases.

What has a grade is a product: of a product group the best graded variant says it, its lowest row has it, and a ranking
counts where any variant comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.metrics.ndcg import dcg
from shopfuse.ranking.channels import RECOMMEND, SEARCH, SIMILAR, Surface
from shopfuse.ranking.text import normalise_query
from shopfuse.ranking.user_state import PURCHASED
from shopfuse.recall.groups import NO_GROUPS, Groups
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
    grades: NDArray[np.float32]  # [N] at the rows that stand for products
    allowed: NDArray[np.bool_]  # [N] items that may be ranked: available, and not bought by the shopper before
    at: float | None = None  # seconds; None: the moment of the evaluation
    device: str = ""
    seed: int = NO_SEED  # row of the item to find others like
    groups: Groups = NO_GROUPS

    @property
    def surface(self) -> Surface:
        if self.seed != NO_SEED:
            return SIMILAR
        return SEARCH if self.query else RECOMMEND

    def products(self, ranking: NDArray[np.int32]) -> NDArray[np.int32]:
        """The rows that stand for the products of a ranking, each once."""
        return self.groups.of_rows(ranking[self.groups.once(ranking)])

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
    users, groups = {user: code for code, user in enumerate(log.users)}, Groups.of(catalogue.group)
    cases = []
    for key, rows in frame.group_by(keys, maintain_order=True):
        query = normalise_query(str(key[0])) if has_query else ""
        user = users.get(str(key[-2]), -1)
        grades = product_grades(groups, catalogue.rows(rows["item_id"]), rows["grade"].to_numpy())
        allowed = catalogue.available.copy()
        if not has_query:
            allowed &= ~np.isin(groups.code, groups.code[_bought(log, user)])
        cases.append(JudgedCase(query, user, str(key[-1] or ""), grades, allowed, groups=groups))
    return cases


def load_similar_cases(path: Path, catalogue: Catalogue) -> list[JudgedCase]:
    """The cases of a file of judged similar items (seed_item_id, item_id, grade) in order; a stranger asks."""
    frame, groups = pl.read_parquet(path), Groups.of(catalogue.group)
    cases = []
    for (seed_id,), rows in frame.group_by("seed_item_id", maintain_order=True):
        seed = int(catalogue.rows(pl.Series([seed_id], dtype=pl.String))[0])
        if seed >= 0:
            grades = product_grades(groups, catalogue.rows(rows["item_id"]), rows["grade"].to_numpy())
            allowed = catalogue.available & (groups.code != groups.code[seed])
            cases.append(JudgedCase("", -1, "", grades, allowed, seed=seed, groups=groups))
    return cases


def product_grades(groups: Groups, rows: NDArray[np.int32], grades: NDArray[Any]) -> NDArray[np.float32]:
    """The grades of products, [N], from those of items `rows` [n], of which -1 is unknown."""
    of_products = np.zeros(len(groups), np.float32)
    np.maximum.at(of_products, groups.code[rows[rows >= 0]], grades[rows >= 0])
    return of_products


def _bought(log: EventLog, user: int) -> NDArray[np.int32]:
    events = log.events
    bought: NDArray[np.int32] = events.row[(events.user == user) & PURCHASED[events.kind]]
    return bought


def quality(cases: list[JudgedCase], scorer: Scorer, *, seed: int = 0) -> Quality:
    """NDCG@10 of the ranking of all allowed products by the scorer; equal scores keep the order of the rows."""
    values = np.array([_ndcg(case, scorer(case)) for case in cases], np.float64)
    low, high = bootstrap_interval(values, seed=seed)
    return Quality(float(values.mean()) if len(values) else 0.0, low, high, values)


def _ndcg(case: JudgedCase, scores: NDArray[np.float32]) -> float:
    ranked = case.products(np.argsort(-np.where(case.allowed, scores, -np.inf), kind="stable").astype(np.int32))[:K]
    ideal = dcg(np.sort(case.grades)[::-1][:K].tolist())
    return dcg(case.grades[ranked].tolist()) / ideal if ideal > 0 else 0.0
