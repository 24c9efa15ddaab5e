"""What a query means in the words of its catalogue: slips corrected, beginnings completed, compounds in all their
spellings; and what of it are no words to look for: prices, and what is asked to be absent.

Nothing that the catalogue or the language has is ever changed, and what a word means comes from the catalogue: a new
product line is understood from the next build on. It ranks nothing and knows no user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise

from shopfuse.recall.words.brands import brands_in
from shopfuse.recall.words.joints import MIN_PART, joined, parts_of, usually_written
from shopfuse.recall.words.knowledge import WordKnowledge
from shopfuse.recall.words.negations import Count, Negations
from shopfuse.recall.words.price_limits import price_limits
from shopfuse.recall.words.readings import spoken
from shopfuse.recall.words.segmentation import is_han, telling_characters
from shopfuse.recall.words.spelling import MIN_LENGTH
from shopfuse.recall.words.units import rewritten

MAX_CHARACTERS = 2048
MAX_WORDS = 32
NO_WORDS = 0
CODE_LENGTH = 6

Form = tuple[str, ...]  # indexed words, all of which an item must hold


@dataclass(frozen=True, slots=True)
class QueryWord:
    """One word of a query: the ways in which an item may hold it, the typed one first, and what counts half of it."""

    forms: tuple[Form, ...]
    halves: tuple[str, ...] = ()  # indexed words
    written: str = ""  # as the query has it, corrected
    phrases: tuple[Form, ...] = ()  # those of the forms whose words stand side by side, of an unwanted phrase


@dataclass(frozen=True, slots=True)
class ReadQuery:
    text: str  # for the text encoder: as typed, with the corrections, and words also as the catalogue writes them
    words: tuple[QueryWord, ...]  # distinct, at most 32
    brands: tuple[str, ...] = ()  # that it names
    categories: tuple[str, ...] = ()  # paths of those that it names
    asked: str = ""  # the words to look for, corrected, without prices and what is to be absent
    corrected: str = ""  # the query with its slips corrected, where there are some
    completed: tuple[str, ...] = ()  # what its last word was read as the beginning of, the most frequent first
    unwanted: tuple[QueryWord, ...] = ()  # that an item must not have
    unwanted_words: tuple[str, ...] = ()  # the same as they are typed, phrases in one
    min_price: float | None = None
    max_price: float | None = None

    @property
    def telling(self) -> tuple[QueryWord, ...]:
        """The words that speak for an item: of those without the unwanted, some still say so ("no added sugar")."""
        return self.words + self.unwanted

    @property
    def is_code(self) -> bool:
        """Whether it is made of codes of articles, which mean nothing but themselves."""
        return bool(self.words) and all(is_code(word.written) for word in self.words)

    @property
    def key(self) -> int:
        """64 bits that are the same for the same words in any order, spelling and number; NO_WORDS for none."""
        if not self.words:
            return NO_WORDS
        words = sorted(word.forms[0][0] for word in self.words)
        return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=8).digest())


NOTHING_READ = ReadQuery("", ())


def is_code(word: str) -> bool:
    """Letters and digits in one, too long for a model's name that people speak of."""
    return len(word) >= CODE_LENGTH and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


@dataclass(frozen=True, slots=True)
class QueryReader:
    knowledge: WordKnowledge
    negations: Negations
    items_with: Callable[[str], int]  # how many items hold an indexed word
    together: Callable[[Sequence[str]], bool]  # whether one item holds all of these
    phrase_counts: Count  # of a text's words

    def read(self, query: str, as_typed: bool = False) -> ReadQuery:
        """`as_typed`: nothing is corrected and nothing completed."""
        text = query[:MAX_CHARACTERS]
        limits = price_limits(text)
        wanted = self.negations.of_query(limits.text, self.phrase_counts)
        if not (self._surface(wanted.text) or wanted.unwanted):  # "under 50" alone: there is nothing to limit
            asked = self._joined(text)
            words = self._surface(asked)
            encoded, forms = self._encoded(asked, words), tuple(self._forms(words))
            return ReadQuery(encoded, forms, self._brands(asked), self._categories(words), text)
        asked = self._joined(wanted.text)
        words = self._surface(asked)
        completed = () if as_typed else self._completions(words)
        changes = {} if as_typed else self._changes(words[:-1] if completed else words)
        read = _replaced(asked, changes)
        if completed and not self.knowledge.known.is_word(words[-1]):
            read = _replaced(read, {(words[-1],): completed[0]})
        words, corrected = self._surface(read), _replaced(text, changes)
        return ReadQuery(
            self._encoded(read, words) if words else text,
            tuple(self._with_alike(self._forms(words, completed), changes)),
            self._brands(read),
            self._categories(words),
            _replaced(wanted.text, changes),
            corrected if corrected != text else "",
            completed,
            tuple(word for typed in wanted.unwanted for word in self._unwanted(typed)),
            wanted.unwanted,
            limits.min_price,
            limits.max_price,
        )

    def _unwanted(self, typed: str) -> list[QueryWord]:
        """A word, or a phrase as it stands and as the joint word that it may be."""
        words = self._forms(self._surface(self._joined(typed)))
        phrases = tuple(phrase for phrase in self.knowledge.analyser.in_order(typed) if len(phrase) > 1)
        if not phrases:
            return words
        joint = words[0].forms if len(words) == 1 else ()
        return [QueryWord((*phrases, *joint), written=typed, phrases=phrases)]

    def _encoded(self, text: str, words: Sequence[str]) -> str:
        """What the encoder reads: words, joint words and quantities also as the catalogue writes them."""
        usual = rewritten(_followed(text, self._usual_forms(words)), self.knowledge.usual_quantities)
        return usually_written(usual, self.knowledge.joints, self._stem)

    def _joined(self, text: str) -> str:
        text = self.knowledge.analyser.folded(text)
        tokens = self.knowledge.analyser.tokens(text)
        return joined(text, tokens, self.knowledge.joints, self._stem, self._known)

    def _surface(self, text: str) -> list[str]:
        return list(dict.fromkeys(self.knowledge.analyser.surface(text)))[:MAX_WORDS]

    def _brands(self, text: str) -> tuple[str, ...]:
        return brands_in(self.knowledge.analyser.surface(text)[:MAX_WORDS], self.knowledge.brands)

    def _categories(self, words: Sequence[str]) -> tuple[str, ...]:
        return brands_in([self._stem(word) for word in words], self.knowledge.categories)

    def _usual_forms(self, words: Sequence[str]) -> dict[str, str]:
        """The words that the catalogue mostly writes in another form, which the query lacks: "laptop" of "laptops"."""
        usual = {word: self._usual_form(word) for word in words}
        return {word: form for word, form in usual.items() if form not in words}

    def _usual_form(self, word: str) -> str:
        forms = ((self.knowledge.usual_forms.get(one.language, {}), one.stem) for one in self.knowledge.analyser.each)
        return next((usual for by_stem, stem in forms if (usual := by_stem.get(stem(word)))), word)

    def _stem(self, word: str) -> str:
        return self.knowledge.analyser.stem(word)

    def _known(self, word: str) -> bool:
        return self._items_with(word) > 0 or bool(self._family(word)[0])

    def _items_with(self, word: str) -> int:
        """How many items hold a word, in the language where most do."""
        return max(map(self.items_with, self.knowledge.analyser.stems(word)))

    def _family(self, word: str) -> tuple[list[str], list[str]]:
        """Compounds that are a kind of what a word means, and those that are only about it."""
        kinds, about = list[str](), list[str]()
        for language, compounds in self.knowledge.compounds.items():
            stem = self.knowledge.analyser.of(language).stem(word)
            kinds += compounds.kinds_of(stem, self.items_with)
            about += compounds.about(stem, self.items_with)
        return kinds, about

    def _are_together(self, words: Sequence[str]) -> bool:
        """Whether one item holds all of them, in its language."""
        return any(self.together([*map(one.stem, words)]) for one in self.knowledge.analyser.each)

    def _changes(self, words: Sequence[str]) -> dict[tuple[str, ...], str]:
        """What to write in the place of words that no item holds, and of words that the catalogue writes as one."""
        joined = spoken(words, self.knowledge.readings, lambda word: self._known(word) or self._is_word(word))
        joined |= {pair: "".join(pair) for pair in pairwise(words) if self._is_torn(*pair)}
        torn = {word for pair in joined for word in pair}
        unknown = [word for word in words if word not in torn and not self._known(word)]
        mended = {(word,): self._correction(word) or self._apart(word) for word in unknown}
        mended |= {(word,): alike[0] for word in unknown if not mended[word,] and (alike := self._alike(word))}
        return joined | {word: better for word, better in mended.items() if better is not None}

    def _correction(self, word: str) -> str | None:
        """A word of the language is nobody's slip, also where the shop has nothing of it: lamb is no lamp."""
        return None if self._is_word(word) else self.knowledge.spelling.correction(word)

    def _alike(self, word: str) -> tuple[str, ...]:
        """The Chinese words whose syllables begin with the letters of one that is no other word."""
        return () if self._is_word(word) else self.knowledge.readings.initials.get(word, ())

    def _is_word(self, word: str) -> bool:
        return self.knowledge.known.is_word(word)

    def _completions(self, words: Sequence[str]) -> tuple[str, ...]:
        """What the last word, which no item holds, may become when it is typed to its end. A word of the language only
        becomes another beside words that an item holds together with that: "iphone 14 mid"."""
        if not words or self._known(words[-1]):
            return ()
        others, longer = words[:-1], self.knowledge.known.completions(words[-1])
        if self.knowledge.known.is_word(words[-1]):
            longer = [word for word in longer if others and self._are_together([*others, word])]
        return tuple(longer)

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
        return min(map(self._items_with, parts))

    def _forms(self, words: Sequence[str], completed: Sequence[str] = ()) -> list[QueryWord]:
        """Each distinct indexed word with its other spellings; the last one was read as any of `completed`."""
        written = {self._stem(word): word for word in reversed(words)}
        kept = list(dict.fromkeys(map(self._stem, words)))
        kept = self._without_absent_compounds(kept) if self.knowledge.analyser.cuts else kept
        begun = self._stem(words[-1]) if completed else ""
        endings = [stem for word in completed for stem in self.knowledge.analyser.stems(word)]
        return [self._query_word(stem, written[stem], endings if stem == begun else ()) for stem in kept]

    def _with_alike(self, words: list[QueryWord], changes: Mapping[tuple[str, ...], str]) -> list[QueryWord]:
        """The words, of which those that were typed by their first letters may also be others that begin so."""
        alike = {
            better: others for typed, better in changes.items() for others in [self._alike(typed[0])[1:]] if others
        }
        return [
            replace(word, forms=(*word.forms, *(tuple(map(self._stem, self._surface(other))) for other in others)))
            if (others := alike.get(word.written))
            else word
            for word in words
        ]

    def _query_word(self, stem: str, word: str, endings: Sequence[str]) -> QueryWord:
        kinds, about = self._family(word)
        stems = self.knowledge.analyser.stems(word)
        parts = [self._stem(part) for part in parts_of(word, self.knowledge.joints, self._stem)]
        forms: list[Form] = [(form,) for form in dict.fromkeys((*stems, *endings, *kinds))]
        if self.knowledge.analyser.cuts and len(word) > 1 and is_han(word) and not self.items_with(stem):
            # Written in other words: 跑鞋 is in 跑步鞋, and what 螃蟹 ends with in 大闸蟹.
            characters = telling_characters(word)
            forms.append(tuple(dict.fromkeys(characters)))
            parts.append(characters[-1])
        halves = tuple(dict.fromkeys(half for half in (*parts, *about) if half not in stems))
        return QueryWord(tuple(forms), halves, word)

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
