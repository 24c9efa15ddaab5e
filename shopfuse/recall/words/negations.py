"""What is asked to be absent: "without sugar", "sugar-free", "zuckerfrei", "-case"; and what items say that they lack.

A query's unwanted word takes out the items that have it, less those that it does not speak of: an item whose title
says that it lacks it ("Chocolate without sugar"; "No More Tears", which is called so), and one that nowhere says
anything else. Learned from the catalogue's own sentences; no meaning is looked at, so "diet" says nothing of sugar.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.words.analysis import Analyser
from shopfuse.release.manifest import ReleaseError

# Before the word. Those of EVERYWHERE mean nothing else in any of our languages; "sin", "sans" and "no" do.
EVERYWHERE = ("without", "excluding", "ohne", "senza", "zonder", "utan", "uden", "uten")
BEFORE: dict[str, tuple[str, ...]] = {
    "da": ("ingen",),
    "de": ("kein", "keine", "keinen", "keiner"),
    "en": ("no", "non", "zero"),
    "es": ("sin", "no"),
    "fr": ("sans", "non"),
    "it": ("non",),
    "nl": ("geen",),
    "no": ("ingen",),
    "pt": ("sem", "não"),
    "ro": ("fara", "fără"),
    "sv": ("ingen",),
}
BEHIND: dict[str, str] = {"en": "free", "de": "frei", "da": "fri", "no": "fri", "sv": "fri", "nl": "vrij"}
JOINED = frozenset(("de", "da", "no", "sv", "nl"))  # whose last word of a compound it may be: zuckerfrei
# Between the two: "no added sugar".
FILLERS = (
    "a", "an", "any", "the", "added", "extra", "more", "artificial", "zugesetzten", "zusätzlichen", "zugesetzter",
    "toegevoegde", "aggiunto", "aggiunti", "zuccheri", "tilsatt", "tillsatt", "tilsat", "de", "d",
)  # fmt: skip
COORDINATING = ("or", "nor", "and", "oder", "und", "ou", "et", "o", "e", "y", "ni", "of", "en", "och", "og", "eller")
ENDING = frozenset(("with", "but", "for", "mit", "aber", "für", "avec", "mais", "pour", "con", "pero", "para", "met"))
FROM = frozenset(("from", "of", "von", "fra", "från", "van"))  # "free from sugar"
MIN_LETTERS = 3  # of a word behind a minus: "usb -c"
REACH = 3  # words of an item that one "without" speaks of, at most

_WORD = r"[^\W\d_]{2,}"
_TOKENS = re.compile(r"[^\W_]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str  # the query without what is asked to be absent
    unwanted: tuple[str, ...]  # words, as they are typed


class Negations:
    """The ways in which a shop's language, and English with it, says that something is absent."""

    def __init__(self, language: str) -> None:
        code = language.split("-")[0]
        self._before = frozenset(
            (*EVERYWHERE, *BEFORE.get(code, BEFORE["en"]), *(BEFORE["en"] if code == "en" else ()))
        )
        self._behind = frozenset((BEHIND.get(code, BEHIND["en"]), BEHIND["en"]))
        self._joined = BEHIND[code] if code in JOINED else ""
        self._compound = re.compile(rf"([^\W\d_]{{4,}}){self._joined}\w{{0,2}}")  # zuckerfreie
        self._query = re.compile("|".join(self._sayings()), re.IGNORECASE)
        words = "|".join((*self._before, *self._behind))
        self._anywhere = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])|{self._joined or words}", re.IGNORECASE)

    def _sayings(self) -> Iterator[str]:
        ending, joining, fillers = ("|".join(sorted(words)) for words in (ENDING, COORDINATING, FILLERS))
        more = rf"(?:(?:\s*,|\s+(?:{joining}))\s+(?!(?:{ending})\b){_WORD})*"
        yield rf"(?<![\w-])(?:{'|'.join(self._before)})[\s-]+(?:(?:{fillers})\s+)*(?P<listed>{_WORD}{more})"
        yield rf"(?<!\S)-(?P<minus>[^\W\d_]{{{MIN_LETTERS},}})(?!\w)"
        yield rf"(?<!\w)(?!(?:{ending})\b)(?P<apart>[^\W\d_]{{{MIN_LETTERS},}})[\s-]+(?:{'|'.join(self._behind)})(?!\w)"
        if self._joined:
            yield rf"(?<!\w)(?P<joined>[^\W\d_]{{4,}}){self._joined}\w{{0,2}}(?!\w)"

    def of_query(self, query: str) -> Wanted:
        """What of a query is wanted, and which words are not."""
        unwanted = [word for match in self._query.finditer(query) for word in _listed(match)]
        if not unwanted:
            return Wanted(query, ())
        return Wanted(" ".join(self._query.sub(" ", query).split()), tuple(dict.fromkeys(unwanted)))

    def of_item(self, text: str) -> tuple[set[str], set[str]]:
        """The words of an item's text that it says are absent, and those that it names otherwise; both as they are
        written. Two empty sets where it says nothing of the kind."""
        if self._anywhere.search(text) is None:
            return set(), set()
        tokens = _TOKENS.findall(text.lower())
        absent = {at for at in range(len(tokens)) if tokens[at][0].isalnum() and self._is_absent(tokens, at)}
        joined = {match[1] for token in tokens if self._joined and (match := self._compound.fullmatch(token))}
        others = {token for at, token in enumerate(tokens) if at not in absent}
        return {tokens[at] for at in absent} | joined, others

    def _is_absent(self, tokens: Sequence[str], at: int) -> bool:
        """Whether the word is said to be absent: "sugar-free", or at most REACH words behind a "without"."""
        behind = [token for token in tokens[at + 1 : at + 3] if token != "-"]
        if behind and behind[0] in self._behind:
            return True
        reach = 0
        for place in range(at - 1, -1, -1):
            token = tokens[place]
            if token in self._before or (token in FROM and place > 0 and tokens[place - 1] in self._behind):
                return True
            if token in ENDING or not (token[0].isalnum() or token == "-"):
                return False
            reach += token[0].isalnum() and token not in COORDINATING and token not in FILLERS
            if reach >= REACH:
                return False
        return False


def _listed(match: re.Match[str]) -> Iterable[str]:
    if (listed := match["listed"]) is None:
        return [value.lower() for value in match.groupdict().values() if value is not None]
    return (word for word in re.findall(_WORD, listed.lower()) if word not in COORDINATING)


class Lacking:
    """Counts which items say that they lack what, while a catalogue goes by."""

    def __init__(self, analyser: Analyser) -> None:
        self._analyser, self._negations = analyser, Negations(analyser.language)
        self._hashes, self._rows = array("L"), array("i")

    def add(self, row: int, item: CatalogueItem) -> None:
        values = (value for _, value in item.attributes)
        absent, _ = self._stems(item.title)
        elsewhere, named = self._stems(". ".join((item.title, item.description, *item.category, *values)))
        for word in absent | (elsewhere - named):
            self._hashes.append(_hash(word))
            self._rows.append(row)

    def _stems(self, text: str) -> tuple[set[str], set[str]]:
        """What an item's text says is absent, and what else it names, as indexed words."""
        absent, others = self._negations.of_item(text)
        return self._indexed(absent), self._indexed(others)

    def _indexed(self, words: Iterable[str]) -> set[str]:
        return {self._analyser.stem(part) for word in words for part in self._analyser.surface(word)}

    def write(self, folder: Path) -> None:
        hashes, rows = np.frombuffer(self._hashes, np.uint64), np.frombuffer(self._rows, np.int32)
        order = np.lexsort((rows, hashes))
        folder.mkdir(parents=True, exist_ok=True)
        write_array(folder / "hashes.npy", hashes[order].astype(np.uint32))
        write_array(folder / "rows.npy", rows[order])


@dataclass(frozen=True, slots=True)
class LackingItems:
    hashes: NDArray[np.uint32]  # [n], ascending: of indexed words
    rows: NDArray[np.int32]  # [n], of an item that lacks the word, ascending for each word

    @classmethod
    def open(cls, folder: Path) -> LackingItems:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        lacking = cls(open_array(folder / "hashes.npy", np.uint32), open_array(folder / "rows.npy", np.int32))
        if len(lacking.hashes) != len(lacking.rows):
            raise ReleaseError(f"{folder}/rows.npy: {len(lacking.rows)} rows, expected {len(lacking.hashes)}")
        return lacking

    def of(self, word: str) -> NDArray[np.int32]:
        """The rows of the items that say that they lack an indexed word, and do not have it elsewhere."""
        wanted = np.uint32(_hash(word))
        first, last = np.searchsorted(self.hashes, wanted), np.searchsorted(self.hashes, wanted, side="right")
        return self.rows[first:last]


def _hash(word: str) -> int:
    return zlib.crc32(word.encode())
