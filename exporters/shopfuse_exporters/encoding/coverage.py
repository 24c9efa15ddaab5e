"""Whether the text encoder understands the language of a catalogue.

An encoder gives every text a direction, also one of a language that it never read; among the channels of a search such
noise counts as much as meaning. Two things are measured. How much of the titles is lost before the encoder begins: the
characters of words that its tokenizer does not know. And whether what it says goes beyond chance: is a word of a title
nearer to the rest of that title than to those of other items, and a category's name nearer to the rest of a title of
it? The letters that both share are taken out, so that only meaning can tell. By chance either is so half of the time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shopfuse.recall.words.analysis import Analyser
from shopfuse.training.data.catalogue import Catalogue

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

PAIRS = 200  # of each kind: each tells up to all others, and the error of their mean is about 0.02
FEWEST = 50  # of a kind; of fewer, chance cannot be told from meaning
ERRORS = 2.0  # standard errors, by which meaning must be above chance
CHANCE = 0.5
MOST_LOST = 0.1  # of the titles' characters
TITLES = 1000  # whose characters are looked at


@dataclass(frozen=True, slots=True)
class Beyond:
    """How often the text that belongs to a word is nearer to it than one that does not, 0..1."""

    nearer: float
    error: float  # standard error of it
    pairs: int

    @property
    def is_told(self) -> bool:
        return self.pairs >= FEWEST

    @property
    def is_meaning(self) -> bool:
        return self.nearer - ERRORS * self.error > CHANCE


@dataclass(frozen=True, slots=True)
class Coverage:
    lost: float  # share of the titles' characters in tokens that the encoder does not know
    words: Beyond
    categories: Beyond

    @property
    def covers(self) -> bool:
        told = [kind for kind in (self.words, self.categories) if kind.is_told]
        return self.lost <= MOST_LOST and (not told or any(kind.is_meaning for kind in told))

    def line(self, encoder: str, language: str) -> str:
        """What is told where the encoder does not cover the language."""
        why = f"loses {self.lost:.0%} of the titles' characters"
        if self.lost <= MOST_LOST:
            why = f"places a word nearer to its own title than to another in {self.words.nearer:.0%}, as chance does"
        return f"text encoder {encoder} does not cover language {language}: it {why}"

    def record(self) -> dict[str, Any]:
        """For the manifest."""
        return {"covers": self.covers, **asdict(self)}


def measure_coverage(catalogue: Catalogue, tokenizer: Tokenizer, encode: Encode) -> Coverage:
    """The same for the same catalogue and encoder."""
    titles, paths = catalogue.frame["title"].to_list(), catalogue.frame["category"].to_list()
    drawn = np.random.default_rng(0).permutation(len(titles))
    analyser = Analyser(catalogue.language)
    sample = [analyser.folded(titles[row] or "") for row in drawn.tolist()]
    categories = [(paths[row] or [""])[-1] for row in drawn.tolist()]
    return Coverage(
        round(_lost(sample[:TITLES], tokenizer), 4),
        _beyond(_word_pairs(sample, analyser), encode),
        _beyond(_category_pairs(sample, categories, analyser), encode),
    )


def _lost(titles: Sequence[str], tokenizer: Tokenizer) -> float:
    unknown = _unknown_token(tokenizer)
    if unknown is None:
        return 0.0
    lost = total = 0
    for encoded in tokenizer.encode_batch(list(titles), add_special_tokens=False):
        real = zip(encoded.ids, encoded.offsets, encoded.attention_mask, strict=True)
        spans = [(token, end - start) for token, (start, end), mask in real if mask]
        lost += sum(length for token, length in spans if token == unknown)
        total += sum(length for _, length in spans)
    return lost / max(total, 1)


def _unknown_token(tokenizer: Tokenizer) -> int | None:
    """Its number; None for a tokenizer of bytes, to which nothing is unknown."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    unknown: int | None = tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None
    return unknown


@dataclass(frozen=True, slots=True)
class _Pair:
    word: str
    rest: str  # of the title that it belongs to
    title: str  # what a word must not be in, to be another's
    category: str = ""


def _word_pairs(titles: Sequence[str], analyser: Analyser) -> list[_Pair]:
    """A word of each title, drawn, and the rest of the title, which has a word, too."""
    draw, pairs = np.random.default_rng(1), list[_Pair]()
    for title in titles:
        words = [
            word
            for word in dict.fromkeys(analyser.surface(title))
            if any(map(str.isalpha, word)) and not any(map(str.isdigit, word))
        ]
        if len(words) < 2 or len(pairs) == PAIRS:
            continue
        word = words[draw.integers(len(words))]
        rest = _without(title, [word])
        if rest != title and any(other in rest.lower() for other in words if other != word):
            pairs.append(_Pair(word, rest, title.lower()))
    return pairs


def _category_pairs(titles: Sequence[str], categories: Sequence[str], analyser: Analyser) -> list[_Pair]:
    """The name of each item's category, and its title without the words of that name."""
    pairs = list[_Pair]()
    for title, category in zip(titles, categories, strict=True):
        rest = _without(title, analyser.surface(category))
        if len(pairs) < PAIRS and category and any(map(str.isalpha, rest)):
            pairs.append(_Pair(category, rest, title.lower(), category))
    return pairs


def _without(title: str, words: Sequence[str]) -> str:
    for word in words:
        title = re.sub(re.escape(word), " ", title, flags=re.IGNORECASE)
    return title


def _beyond(pairs: Sequence[_Pair], encode: Encode) -> Beyond:
    if not pairs:
        return Beyond(CHANCE, 0.0, 0)
    cosines = encode([pair.word for pair in pairs]) @ encode([pair.rest for pair in pairs]).T
    shares = [share for row, pair in enumerate(pairs) if (share := _share(cosines[row], row, pair, pairs)) is not None]
    if not shares:
        return Beyond(CHANCE, 0.0, 0)
    error = float(np.std(shares)) / len(shares) ** 0.5
    return Beyond(round(float(np.mean(shares)), 4), round(error, 4), len(shares))


def _share(cosines: NDArray[np.float32], row: int, pair: _Pair, pairs: Sequence[_Pair]) -> float | None:
    """Of the texts that do not belong to a pair's word, those that are farther from it than the one that does, those
    that are as far by half; None where all belong to it."""
    others = [at for at, other in enumerate(pairs) if _is_other(pair, other)]
    if not others:
        return None
    own, theirs = cosines[row], cosines[others]
    return float(np.mean((own > theirs) + 0.5 * (own == theirs)))


def _is_other(pair: _Pair, other: _Pair) -> bool:
    return pair.category != other.category if pair.category else pair.word not in other.title
