"""Whether a text encoder that was trained on the shop's own texts finds better than words alone: measured, not assumed.

What is asked was kept from its training: a fifth of the searches that led to an item or, in a shop with too few of
them, words of the titles of items that it never saw. Of those every other item is searched without one of the words
asked for, as what a shopper calls a thing is often not what the shop calls it. Both lists are made by the channels,
weights and rules of a shop that has no events: with meaning, and without. How much meaning counts beside words is
chosen, too: an encoder of one shop knows less than one that has read a language.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.schema import EVENT_SCHEMA
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.metrics.ndcg import dcg
from shopfuse.ranking.channels import SEARCH, TABLE
from shopfuse.ranking.features import NO_HISTORY
from shopfuse.ranking.filter import NO_FILTER
from shopfuse.ranking.fusion import PLAIN, fuse
from shopfuse.ranking.order import in_order
from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.meaning_floor import NO_FLOOR, meaning_floor, unrelated
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.recall.words.analysis import Analyser
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.led_searches import LedSearches
from shopfuse.training.data.snapshot import ItemVectors, take_snapshot
from shopfuse.training.examples.text_pairs import item_texts, run_of

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

STAGE = "try text encoder"
HELD_OUT = 0.2  # of the searches, or of the products
FEWEST, MOST = 50, 600  # questions; of fewer, luck cannot be told from meaning
ITEMS = 20_000  # that are searched, drawn from a larger catalogue
K = 10
SEMANTIC = "semantic"
USUAL = next(channel.search_weight for channel in TABLE if channel.name == SEMANTIC)
WEIGHTS = (USUAL, USUAL / 2, USUAL / 4, USUAL / 8)  # of the channel


@dataclass(frozen=True, slots=True)
class Question:
    query: str
    right: tuple[int, ...]  # rows of the items that answer it
    lacks: str = ""  # a word of the query that these items are searched without


@dataclass(frozen=True, slots=True)
class Withheld:
    """What the encoder must not have learned from."""

    questions: list[Question]
    searches: frozenset[str] = frozenset()  # none where the questions are drawn
    rows: frozenset[int] = frozenset()

    @property
    def are_enough(self) -> bool:
        return len(self.questions) >= FEWEST


@dataclass(frozen=True, slots=True)
class Gain:
    """Of NDCG@10 by meaning, with its 95 % interval."""

    mean: float
    low: float
    high: float
    queries: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Gain:
        low, high = bootstrap_interval(values)
        mean = float(values.mean()) if len(values) else 0.0
        return cls(round(mean, 4), round(low, 4), round(high, 4), len(values))


@dataclass(frozen=True, slots=True)
class EncoderTrial:
    asked: str  # "searches" or "titles"
    words: float  # NDCG@10 by words alone
    meaning: float
    gain: Gain
    as_written: Gain  # where the items have all words that are asked for
    weight: float  # of the channel "semantic", with which it does best
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def won(self) -> bool:
        """Better than words by more than luck, and no worse where words are enough."""
        return self.gain.low > 0.0 and not (self.as_written.queries and self.as_written.high < 0.0)

    @property
    def line(self) -> str:
        gain = f"{self.gain.mean:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}]"
        figures = f"NDCG@10 {self.words:.3f} by words, {self.meaning:.3f} with it, gain {gain}"
        return f"{figures} on {self.gain.queries} held-out {self.asked}"

    def record(self) -> dict[str, Any]:
        """For the manifest."""
        return {"won": self.won, **asdict(self)}


def hold_out(catalogue: Catalogue, led: LedSearches, seed: int) -> Withheld:
    """The same for the same catalogue, events and seed."""
    draw = np.random.default_rng(seed)
    found: dict[str, set[int]] = defaultdict(set)
    for query, row in zip(led.query, led.row.tolist(), strict=True):
        if catalogue.available[row]:
            found[query].add(row)
    queries = sorted(found)
    count = min(MOST, int(HELD_OUT * len(queries)))
    if count >= FEWEST:
        chosen = [queries[at] for at in draw.permutation(len(queries))[:count].tolist()]
        return Withheld([Question(query, tuple(sorted(found[query]))) for query in chosen], frozenset(chosen))
    questions = _drawn_questions(catalogue, draw)
    return Withheld(questions, rows=frozenset(row for question in questions for row in question.right))


def _drawn_questions(catalogue: Catalogue, draw: np.random.Generator) -> list[Question]:
    """Words of titles; an item of the same title or product answers as well."""
    alike = _alike(catalogue)
    available = np.flatnonzero(catalogue.available)
    _, first = np.unique(alike[available], return_index=True)
    products = draw.permutation(available[first])[: min(MOST, int(HELD_OUT * len(first)))]
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isin(alike, alike[products])).tolist():
        members[int(alike[row])].append(row)
    questions = list[Question]()
    for row, item in zip(products.tolist(), item_texts(catalogue, products.tolist()), strict=True):
        words = run_of(item.title, draw, fewest=2)
        telling = [word for word in words if any(map(str.isalpha, word))]
        if len(words) < 2 or not telling:
            continue
        lacks = telling[int(draw.integers(len(telling)))] if len(questions) % 2 else ""
        questions.append(Question(" ".join(words), tuple(members[int(alike[row])]), lacks))
    return questions


def _alike(catalogue: Catalogue) -> NDArray[np.int64]:
    """A number for each row, the same for rows of one product and of one title, [N]."""
    titles = catalogue.frame.select("title", row=pl.Series(catalogue.group))
    return titles.select(pl.col("row").min().over("title")).to_series().to_numpy().astype(np.int64)


def try_encoder(
    folder: Path,
    catalogue: Catalogue,
    held_out: Withheld,
    encode: Encode,
    training: Mapping[str, Any],
    progress: Progress = silent,
) -> EncoderTrial:
    """`folder` is for the indexes that are searched; `training` goes on record."""
    shop, questions = _searched_shop(catalogue, held_out.questions)
    count = len(shop)
    nothing = np.zeros((count, VECTOR), np.float16), np.zeros((count, len(MODALITIES), TOKEN), np.float16)
    items = ItemVectors(*nothing, np.zeros((count, len(MODALITIES)), np.float32))
    log = load_event_log(pl.LazyFrame(schema=EVENT_SCHEMA), shop)
    vectors = encode(shop.texts())
    indexes = take_snapshot(folder, shop, vectors, items, log, float(np.nan_to_num(shop.published_at).max())).indexes
    floor = meaning_floor(indexes, encode)
    read = [indexes[LEXICAL_INDEX].read(question.query).text for question in questions]
    values = np.zeros((len(questions), 1 + len(WEIGHTS)))
    for at, (question, embedding) in enumerate(zip(questions, encode(read), strict=True)):
        by_words = _rankings(indexes, question.query, None, NO_FLOOR, WEIGHTS[:1])
        rankings = [*by_words, *_rankings(indexes, question.query, embedding, floor, WEIGHTS)]
        values[at] = [_ndcg(indexes, ranking, question.right) for ranking in rankings]
        progress(STAGE, at + 1, len(questions))
    return _trial("searches" if held_out.searches else "titles", values, questions, training)


def _trial(
    asked: str, values: NDArray[np.float64], questions: Sequence[Question], training: Mapping[str, Any]
) -> EncoderTrial:
    """`values` [questions, 1 + weights], by words alone first. The weight is chosen on all questions; what is told of
    the choice is measured by the weights that each half chose for the other."""
    by_words, by_meaning, best = values[:, 0], values[:, 1:], np.zeros(len(values))
    written = np.array([not question.lacks for question in questions])
    gains = by_meaning - by_words[:, None]
    first = np.arange(len(values)) < len(values) // 2
    for half in (first, ~first):
        best[half] = by_meaning[half, _chosen(gains[~half], written[~half])]
    words, meaning = round(float(by_words.mean()), 4), round(float(best.mean()), 4)
    weight, gains = WEIGHTS[_chosen(gains, written)], best - by_words
    return EncoderTrial(asked, words, meaning, Gain.of(gains), Gain.of(gains[written]), weight, training)


def _chosen(gains: NDArray[np.float64], written: NDArray[np.bool_]) -> int:
    """The place of the weight with the best mean gain [questions, weights], of those that lose nothing where words are
    enough; the last, which is the smallest, where all lose."""
    harmless = gains[written].mean(0) >= 0.0 if written.any() else np.ones(gains.shape[1], np.bool_)
    return int(np.where(harmless, gains.mean(0), -np.inf).argmax()) if harmless.any() else len(WEIGHTS) - 1


def read_trial(record: Mapping[str, Any]) -> EncoderTrial:
    """What EncoderTrial.record() gave."""
    values = {name: value for name, value in record.items() if name != "won"}
    return EncoderTrial(**{**values, "gain": Gain(**values["gain"]), "as_written": Gain(**values["as_written"])})


def _searched_shop(catalogue: Catalogue, questions: Sequence[Question]) -> tuple[Catalogue, list[Question]]:
    """At most ITEMS of the catalogue, less the words that items lack; and the questions by its rows."""
    asked = np.unique([row for question in questions for row in question.right])
    others = np.random.default_rng(0).permutation(np.setdiff1d(np.flatnonzero(catalogue.available), asked))
    rows = np.sort(np.concatenate([asked, others[: max(0, ITEMS - len(asked))]]))
    lacks = {row: question.lacks for question in questions for row in question.right if question.lacks}
    frame = catalogue.frame[rows]
    changed = [
        _without(item, lacks[row]) if row in lacks else item
        for row, item in zip(rows.tolist(), frame.iter_rows(named=True), strict=True)
    ]
    shop = load_catalogue(pl.DataFrame(changed, frame.schema), languages=catalogue.languages)
    words = Analyser(catalogue.language, catalogue.languages[1:]).surface
    placed = list[Question]()
    for question in questions:
        right = tuple(np.searchsorted(rows, question.right).tolist())
        titles = shop.frame["title"][list(right)].to_list()
        lacks_it = question.lacks and all(question.lacks not in words(title) for title in titles)
        placed.append(Question(question.query, right, question.lacks if lacks_it else ""))
    return shop, placed


def _without(item: dict[str, Any], word: str) -> dict[str, Any]:
    """The row of an item whose texts do not have the word."""
    pattern = re.compile(re.escape(word), re.IGNORECASE)
    texts = {name: pattern.sub(" ", item[name] or "") for name in ("title", "description")}
    pairs = [{**pair, "value": pattern.sub(" ", pair["value"])} for pair in item["attributes"] or ()]
    return {**item, **texts, "attributes": pairs}


def _rankings(
    indexes: RecallIndexes,
    query: str,
    embedding: NDArray[np.float32] | None,
    floor: float,
    weights: Sequence[float],
) -> list[NDArray[np.int32]]:
    """The rows of a search's list, best first, by each of the weights of meaning; `embedding` is None where words are
    all that is known."""
    asked = RecallQuery.of_user(NO_HISTORY, query, embedding)
    rows = pool(indexes, asked, SEARCH, indexes.items.select(NO_FILTER))
    scores, mask = channel_scores(indexes, rows, asked)
    near = ~unrelated(scores, mask, floor, indexes[LEXICAL_INDEX].read(query), words_alone=embedding is None)
    rankings = []
    for weight in weights:
        relevance, _ = fuse(PLAIN, scores, mask, SEARCH, {SEMANTIC: weight})
        order = np.lexsort((rows, -in_order(relevance, scores, mask)))
        rankings.append(rows[order][near[order]])
    return rankings


def _ndcg(indexes: RecallIndexes, rows: NDArray[np.int32], right: tuple[int, ...]) -> float:
    """NDCG@10 of a list in which each product stands once."""
    groups = indexes.items.groups
    _, first = np.unique(groups.of_rows(rows), return_index=True)
    products = groups.of_rows(rows[np.sort(first)[:K]])
    answers = np.unique(groups.of_rows(np.array(right, np.int32)))
    return dcg(np.isin(products, answers).astype(float).tolist()) / dcg([1.0] * min(K, len(answers)))
