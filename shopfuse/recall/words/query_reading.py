"""What a query means in the words of its catalogue: slips corrected, compounds in all their spellings.

Nothing that the catalogue has is ever changed, and all knowledge comes from the catalogue: a new product line is
understood from the next build on. It ranks nothing and knows no user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

from shopfuse.recall.words.brands import brands_in
from shopfuse.recall.words.joints import MIN_PART, joined, parts_of, usually_written
from shopfuse.recall.words.knowledge import WordKnowledge
from shopfuse.recall.words.spelling import MIN_LENGTH
from shopfuse.recall.words.units import rewritten

MAX_CHARACTERS = 2048
MAX_WORDS = 32
NO_WORDS = 0

Form = tuple[str, ...]  # indexed words, all of which an item must hold


@dataclass(frozen=True, slots=True)
class QueryWord:
    """One word of a query: the ways in which an item may hold it, the typed one first, and what counts half of it."""

    forms: tuple[Form, ...]
    halves: tuple[str, ...] = ()  # indexed words


@dataclass(frozen=True, slots=True)
class ReadQuery:
    text: str  # for the text encoder: as typed, with the corrections, and words also as the catalogue writes them
    words: tuple[QueryWord, ...]  # distinct, at most 32
    brands: tuple[str, ...] = ()  # that it names

    @property
    def key(self) -> int:
        """64 bits that are the same for the same words in any order, spelling and number; NO_WORDS for none."""
        if not self.words:
            return NO_WORDS
        words = sorted(word.forms[0][0] for word in self.words)
        return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class QueryReader:
    knowledge: WordKnowledge
    items_with: Callable[[str], int]  # how many items hold an indexed word

    def read(self, query: str) -> ReadQuery:
        text = self._joined(query[:MAX_CHARACTERS])
        words = self._surface(text)
        if changes := self._changes(words):
            text = _replaced(text, changes)
            words = self._surface(text)
        encoded = rewritten(_followed(text, self._usual_forms(words)), self.knowledge.usual_quantities)
        encoded = usually_written(encoded, self.knowledge.joints, self._stem)
        return ReadQuery(encoded, tuple(self._forms(words)), self._brands(text))

    def _joined(self, text: str) -> str:
        text = self.knowledge.analyser.folded(text)
        tokens = self.knowledge.analyser.tokens(text)
        return joined(text, tokens, self.knowledge.joints, self._stem, self._known)

    def _surface(self, text: str) -> list[str]:
        return list(dict.fromkeys(self.knowledge.analyser.surface(text)))[:MAX_WORDS]

    def _brands(self, text: str) -> tuple[str, ...]:
        return brands_in(self.knowledge.analyser.surface(text)[:MAX_WORDS], self.knowledge.brands)

    def _usual_forms(self, words: Sequence[str]) -> dict[str, str]:
        """The words that the catalogue mostly writes in another form, which the query lacks: "laptop" of "laptops"."""
        usual = {word: self.knowledge.usual_forms.get(self._stem(word), word) for word in words}
        return {word: form for word, form in usual.items() if form not in words}

    def _stem(self, word: str) -> str:
        return self.knowledge.analyser.stem(word)

    def _known(self, word: str) -> bool:
        stem = self._stem(word)
        return self.items_with(stem) > 0 or bool(self._family(stem)[0])

    def _family(self, stem: str) -> tuple[list[str], list[str]]:
        """Compounds that are a kind of what a word means, and those that are only about it."""
        compounds = self.knowledge.compounds
        return compounds.kinds_of(stem, self.items_with), compounds.about(stem, self.items_with)

    def _changes(self, words: Sequence[str]) -> dict[tuple[str, ...], str]:
        """What to write in the place of words that no item holds, and of words that the catalogue writes as one."""
        joined = {pair: "".join(pair) for pair in pairwise(words) if self._is_torn(*pair)}
        torn = {word for pair in joined for word in pair}
        unknown = [word for word in words if word not in torn and not self._known(word)]
        mended = {(word,): self.knowledge.spelling.correction(word) or self._apart(word) for word in unknown}
        return joined | {word: better for word, better in mended.items() if better is not None}

    def _is_torn(self, first: str, second: str) -> bool:
        """True for "lap top", where the catalogue has "laptop" and never writes the two words side by side."""
        joint = first + second
        return (
            min(len(first), len(second)) >= MIN_PART
            and joint in self.knowledge.spelling.known
            and self._stem(joint) not in self.knowledge.joints
        )

    def _apart(self, word: str) -> str | None:
        """An unknown word as two frequent ones: "gamingmouse". Short parts would tear up names: "airpods"."""
        cuts = ((word[:at], word[at:]) for at in range(MIN_LENGTH, len(word) - MIN_LENGTH + 1))
        likely = [cut for cut in cuts if self.knowledge.spelling.known.issuperset(cut)]
        return " ".join(max(likely, key=self._weaker_part)) if likely else None

    def _weaker_part(self, parts: Iterable[str]) -> int:
        return min(self.items_with(self._stem(part)) for part in parts)

    def _forms(self, words: Sequence[str]) -> list[QueryWord]:
        """Each distinct indexed word with its other spellings."""
        stems = {self._stem(word): word for word in reversed(words)}
        kept = list(dict.fromkeys(map(self._stem, words)))
        kept = self._without_absent_compounds(kept) if self.knowledge.analyser.segmented else kept
        return [self._query_word(stem, stems[stem]) for stem in kept]

    def _query_word(self, stem: str, word: str) -> QueryWord:
        kinds, about = self._family(stem)
        parts = [self._stem(part) for part in parts_of(word, self.knowledge.joints, self._stem)]
        halves = tuple(dict.fromkeys(half for half in (*parts, *about) if half != stem))
        return QueryWord(tuple((form,) for form in dict.fromkeys((stem, *kinds))), halves)

    def _without_absent_compounds(self, words: list[str]) -> list[str]:
        """Segmentation gives a long word and the words inside it: one that no item holds says nothing that those do
        not say, and would lower what any item can cover."""
        absent = [word for word in words if not self.items_with(word)]
        return [word for word in words if word not in absent or not any(w != word and w in word for w in words)]


def _replaced(text: str, changes: dict[tuple[str, ...], str]) -> str:
    """The text with its words replaced wherever they stand; all else stays as it was typed."""
    for words, better in changes.items():
        pattern = r"[\W_]+".join(re.escape(word) for word in words)
        text = re.sub(rf"(?<!\w){pattern}(?!\w)", better, text, flags=re.IGNORECASE)  # words hold no backslash
    return text


def _followed(text: str, forms: dict[str, str]) -> str:
    """The text with another form of a word behind that word, wherever it stands."""
    for word, form in forms.items():
        text = re.sub(rf"(?<!\w)({re.escape(word)})(?!\w)", rf"\1 {form}", text, flags=re.IGNORECASE)
    return text
