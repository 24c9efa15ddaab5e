"""Judgments, from CSV or Parquet: how relevant people (or the simulator) say items are; rankings scored by them.

A list is worth what its products are: of a product group the best judged variant says how relevant all are, the first
row of a list counts, and another one takes a place for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.metrics.ndcg import condensed_ndcg, ndcg, recall, reciprocal_rank, unjudged_share

MAX_GRADE = 10
GroupOf = Mapping[str, str]  # the product group of each item that is in one, by their ids
NO_GROUPS: GroupOf = {}


class JudgmentsError(ShopfuseError):
    """A judgments file that cannot be used; the message names file, row and field."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A query of a user in a scene, each perhaps empty, and the grades of its judged items."""

    query: str
    user_id: str
    scene: str
    grades: dict[str, float]

    @property
    def answerable(self) -> bool:
        return any(grade > 0 for grade in self.grades.values())


def _table(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise JudgmentsError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, schema_overrides={"item_id": pl.String, "query": pl.String, "user_id": pl.String})
    except (pl.exceptions.PolarsError, OSError) as error:
        raise JudgmentsError(f"{path}: cannot be read ({error})") from error


def _checked(table: pl.DataFrame, path: Path, key: str) -> pl.DataFrame:
    """With the columns of a judgments file and no impossible row."""
    for column in (key, "item_id", "grade"):
        if column not in table.columns:
            raise JudgmentsError(f"{path}: no column '{column}' (found {', '.join(table.columns)})")
    optional = [pl.lit("").alias(name) for name in ("query", "user_id", "scene") if name not in table.columns]
    table = table.with_columns(*optional, pl.col("grade").cast(pl.Float64, strict=False)).with_row_index(
        "row", offset=2
    )
    bad = table.filter(~pl.col("grade").is_between(0, MAX_GRADE).fill_null(False) | pl.col("item_id").is_null())
    if len(bad):
        raise JudgmentsError(f"{path} row {bad['row'][0]}: expected an item_id and a grade of 0 to {MAX_GRADE}")
    return table


def load_topics(path: Path, key: str) -> list[Topic]:
    """Topics in the file's order; `key` is the column that must be there, "query" or "user_id"."""
    table = _checked(_table(path), path, key).with_columns(pl.col("query", "user_id", "scene").fill_null(""))
    topics = [
        Topic(str(query), str(user), str(scene), dict(zip(group["item_id"], group["grade"], strict=True)))
        for (query, user, scene), group in table.group_by("query", "user_id", "scene", maintain_order=True)
    ]
    if not topics:
        raise JudgmentsError(f"{path}: no rows")
    return topics


@dataclass(frozen=True, slots=True)
class TopicScores:
    """Per-topic values, in the order of the answerable topics; arrays [topics]."""

    ndcg: NDArray[np.float64]
    condensed: NDArray[np.float64]
    recall: NDArray[np.float64]
    mrr: NDArray[np.float64]
    unjudged: NDArray[np.float64]

    def row(self) -> dict[str, float]:
        """Means, with a 95 % bootstrap interval of NDCG@10 over topics."""
        low, high = bootstrap_interval(self.ndcg)
        condensed_low, condensed_high = bootstrap_interval(self.condensed)
        return {
            "ndcg@10": float(self.ndcg.mean()),
            "ndcg@10_low": low,
            "ndcg@10_high": high,
            "ndcg@10_condensed": float(self.condensed.mean()),
            "ndcg@10_condensed_low": condensed_low,
            "ndcg@10_condensed_high": condensed_high,
            "recall@100": float(self.recall.mean()),
            "mrr": float(self.mrr.mean()),
            "unjudged@10": float(self.unjudged.mean()),
            "queries": len(self.ndcg),
        }


def groups_of(items: pl.DataFrame) -> GroupOf:
    """Of an ITEM_SCHEMA frame."""
    return dict(items.select("item_id", "group_id").drop_nulls().iter_rows())


def of_products(topic: Topic, group_of: GroupOf) -> Topic:
    """The topic with the grades of products: a group's is that of its best variant."""
    grades: dict[str, float] = {}
    for item, grade in topic.grades.items():
        product = group_of.get(item, item)
        grades[product] = max(grade, grades.get(product, grade))
    return replace(topic, grades=grades)


def products(ranking: Sequence[str], group_of: GroupOf) -> list[str]:
    """The products of a ranking of items; "" where one comes again."""
    names = [group_of.get(item, item) for item in ranking]
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return [name if first[name] == place else "" for place, name in enumerate(names)]


def score_rankings(
    topics: Sequence[Topic], rankings: Sequence[Sequence[str]], group_of: GroupOf = NO_GROUPS
) -> TopicScores:
    """TopicScores of answerable topics; a topic without a relevant item says nothing about a ranking."""
    pairs = [
        (of_products(topic, group_of).grades, products(ranking, group_of))
        for topic, ranking in zip(topics, rankings, strict=True)
        if topic.answerable
    ]

    def values(measure: Callable[[Sequence[str], Mapping[str, float]], float]) -> NDArray[np.float64]:
        return np.array([measure(ranking, grades) for grades, ranking in pairs], dtype=np.float64)

    return TopicScores(
        *(values(measure) for measure in (ndcg, condensed_ndcg, recall, reciprocal_rank, unjudged_share))
    )
