"""What is asked to be absent: "without sugar", "no palm oil", "sugar-free", "zuckerfrei", "-case"; and what items say
that they lack.

What is negated is a phrase where the catalogue has one. A query's unwanted word takes out the items that have it, less
those that it does not speak of: an item whose title says that it lacks it ("Chocolate without sugar"; "No More Tears",
which is called so), and one that nowhere says anything else (words/lacking.py). Learned from the catalogue's own
sentences; no meaning is looked at, so "diet" says nothing of sugar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
# Of queries alone, and behind a word: "printer not epson". Items write "not only red", and "do not disturb" is a name.
BETWEEN: dict[str, tuple[str, ...]] = {
    "da": ("ikke", "undtagen"),
    "de": ("nicht", "außer"),
    "en": ("not", "except"),
    "es": ("excepto",),
    "fr": ("sauf",),
    "it": ("tranne",),
    "nl": ("niet", "behalve"),
    "no": ("ikke", "unntatt"),
    "pt": ("exceto",),
    "sv": ("inte", "utom"),
}
IN_A_NAME = ("do", "me", "if", "or", "is")  # before "not": "forget me not seeds"
BEHIND: dict[str, str] = {"en": "free", "de": "frei", "da": "fri", "no": "fri", "sv": "fri", "nl": "vrij"}
JOINED = frozenset(("de", "da", "no", "sv", "nl"))  # whose last word of a compound it may be: zuckerfrei
# Of one word: "non-alcoholic beer", "zero sugar cola"; and of what a name follows: "no sugar cola".
OF_A_WORD = frozenset(("non", "zero"))
OF_A_NAME = frozenset(("no", "kein", "keine", "keinen", "keiner", "geen", "ingen"))
# Between the two: "no added sugar".
FILLERS = (
    "a", "an", "any", "the", "added", "extra", "more", "artificial", "zugesetzten", "zusätzlichen", "zugesetzter",
    "toegevoegde", "tilsatt", "tillsatt", "tilsat", "de", "d", "for", "by", "für", "von",
)  # fmt: skip
# Behind it: "sans sucres ajoutés".
ADDED = (
    "ajouté", "ajoutés", "ajoutée", "ajoutées", "añadido", "añadidos", "añadida", "añadidas", "aggiunto", "aggiunti",
    "aggiunta", "adicionado", "adicionados", "adicionada", "toegevoegd", "tilsatt", "tillsatt", "tilsat",
)  # fmt: skip
COORDINATING = ("or", "nor", "and", "oder", "und", "ou", "et", "o", "e", "y", "ni", "of", "en", "och", "og", "eller")
ENDING = frozenset(("with", "but", "for", "mit", "aber", "für", "avec", "mais", "pour", "con", "pero", "para", "met"))
FROM = frozenset(("from", "of", "von", "fra", "från", "van"))  # "free from sugar"
MIN_LETTERS = 3  # of a word behind a minus: "usb -c"
REACH = 3  # words of an item that one "without" speaks of, at most

MOST_WORDS = 4  # of a phrase
OF_ONE = 0.25  # of the items with the rarer end of a phrase, those that have it: "microphone black" is none
OF_FIRST = 0.5  # the same of its first word, where the phrase ends at "free": "organic sugar free" is organic

_WORD = r"[^\W\d_]{2,}[^\W_]*"
_NEXT = re.compile(r"[\s'’-]+([^\W_]+)")  # noqa: RUF001
_FIRST = re.compile(_WORD)
_ADDED = re.compile(rf"(?:\s+(?:{'|'.join(ADDED)})(?!\w))", re.IGNORECASE)
_BEFORE = re.compile(r"([^\W_]+)[\s-]+$")
_TOKENS = re.compile(r"[^\W_]+|[^\w\s]")


class PhraseCounts(NamedTuple):
    """How many items have the words of a phrase side by side, its first word, and its last one."""

    phrase: int
    first: int
    last: int


Count = Callable[[str], PhraseCounts]


def count_nothing(_: str) -> PhraseCounts:
    """Of a catalogue that knows no phrase."""
    return PhraseCounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str  # the query without what is asked to be absent
    unwanted: tuple[str, ...]  # words and phrases, as they are typed


class Negations:
    """The ways in which the languages of a shop say that something is absent."""

    def __init__(self, *languages: str) -> None:
        codes = [language.split("-")[0] for language in languages]
        self._before = frozenset((*EVERYWHERE, *(word for code in codes for word in BEFORE.get(code, BEFORE["en"]))))
        self._between = frozenset(word for code in codes for word in BETWEEN.get(code, BETWEEN["en"]))
        self._behind = frozenset((BEHIND["en"], *(BEHIND[code] for code in codes if code in BEHIND)))
        joined = "|".join(sorted({BEHIND[code] for code in codes if code in JOINED}))
        self._joined = f"(?:{joined})" if joined else ""
        # No phrase goes on over them.
        self._bounds = ENDING.union(COORDINATING, ADDED, self._before, self._between, self._behind)
        self._compound = re.compile(rf"([^\W\d_]{{4,}}){self._joined}\w{{0,2}}")  # zuckerfreie
        self._query = re.compile("|".join(self._sayings()), re.IGNORECASE)
        joining, ending = ("|".join(sorted(words)) for words in (COORDINATING, ENDING))
        self._more = re.compile(rf"(?:\s*,|\s+(?:{joining}))\s+(?!(?:{ending})\b)(?={_WORD})", re.IGNORECASE)
        words = "|".join((*self._before, *self._behind))
        self._anywhere = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])|{self._joined or words}", re.IGNORECASE)

    def _sayings(self) -> Iterator[str]:
        before, behind, ending, fillers, source = (
            "|".join(sorted(words)) for words in (self._before, self._behind, ENDING, FILLERS, FROM)
        )
        named = "".join(rf"(?<!\b{word}\s)" for word in IN_A_NAME)
        between = rf"(?<=[^\W_]\s){named}(?:{'|'.join(sorted(self._between))})"
        before = rf"{before}|(?:{behind})\s+(?:{source})|{between}"
        yield rf'(?<![\w-])(?:-|(?:{before})\s+)["“„](?P<quoted>[^"“”]*\w[^"“”]*)["“”]'
        yield rf"(?<![\w-])(?:{before})[\s-]+(?:(?:{fillers})\s+)*(?P<listed>{_WORD})"
        yield rf"(?<!\S)-(?P<minus>[^\W\d_]{{{MIN_LETTERS},}}(?:-[^\W_]+)*)(?!\w)"
        word = rf"(?!(?:{ending})\b)(?P<apart>[^\W\d_]{{{MIN_LETTERS},}})"
        yield rf"(?<!\w){word}[\s-]+(?:{behind})(?!\w|\s+(?:{source})\b)"
        if self._joined:
            yield rf"(?<!\w)(?P<joined>[^\W\d_]{{4,}}){self._joined}\w{{0,2}}(?!\w)"

    def of_query(self, query: str, count: Count = count_nothing) -> Wanted:
        """What of a query is wanted, and which words and phrases are not: how far a phrase goes says the catalogue."""
        kept, unwanted, end = list[str](), list[str](), 0
        while (match := self._query.search(query, end)) is not None:
            start, last, phrases = self._said(query, match, end, count)
            kept.append(query[end:start])
            unwanted += [" ".join(phrase.lower().split()) for phrase in phrases]
            end = last
        if not unwanted:
            return Wanted(query, ())
        return Wanted(" ".join(" ".join((*kept, query[end:])).split()), tuple(dict.fromkeys(unwanted)))

    def _said(self, query: str, match: re.Match[str], begin: int, count: Count) -> tuple[int, int, list[str]]:
        """(where it begins, where it ends, what is to be absent) of a saying; nothing before `begin` belongs to it."""
        if match["listed"] is not None:
            most, phrases, at = _most_words(query, match), list[str](), match.start("listed")
            while True:
                last = self._phrase_end(query, at, most, count)
                phrases.append(query[at:last])
                last = added.end() if (added := _ADDED.match(query, last)) else last
                if (more := self._more.match(query, last)) is None:
                    return match.start(), last, phrases
                at = more.end()
        if match["apart"] is not None:
            start = self._phrase_start(query, match, begin, count)
            return start, match.end(), [query[start : match.end("apart")]]
        return *match.span(), [value for value in match.groupdict().values() if value is not None]

    def _phrase_end(self, query: str, start: int, most: int, count: Count) -> int:
        """Where the longest phrase that the catalogue has ends, of those that begin at `start`; else the word's end."""
        first = _FIRST.match(query, start)
        assert first is not None
        ends, at, words = list[int](), first.end(), 1
        while words < most and (word := _NEXT.match(query, at)) and not self._is_bound(word[1]):
            at, words = word.end(), words + 1
            if word[1].lower() not in FILLERS:  # "huile de" is no phrase, "huile de palme" is
                ends.append(at)
        return next((end for end in reversed(ends) if _is_phrase(query[start:end], count)), first.end())

    def _phrase_start(self, query: str, match: re.Match[str], begin: int, count: Count) -> int:
        """Where the longest phrase begins of those that end at "free"."""
        starts, at = list[int](), match.start("apart")
        while (
            len(starts) < MOST_WORDS - 1 and (word := _BEFORE.search(query, begin, at)) and not self._is_bound(word[1])
        ):
            at = word.start()
            starts.append(at)
        last = match.end("apart")
        return next((s for s in reversed(starts) if _is_own_phrase(query[s:last], count)), match.start("apart"))

    def _is_bound(self, word: str) -> bool:
        return word.lower() in self._bounds

    def of_item(self, text: str) -> tuple[set[str], set[str]]:
        """The words and phrases of an item's text that it says are absent, and those of them that it names otherwise;
        both as they are written. Two empty sets where it says nothing of the kind."""
        if self._anywhere.search(text) is None:
            return set(), set()
        tokens = _TOKENS.findall(text.lower())
        absent = {at for at in range(len(tokens)) if tokens[at][0].isalnum() and self._is_absent(tokens, at)}
        joined = {match[1] for token in tokens if self._joined and (match := self._compound.fullmatch(token))}
        lacking = joined | {tokens[at] for at in absent}
        for at in absent:
            lacking.update(phrase for phrase, all_absent in self._phrases(tokens, at, absent) if all_absent)
        last = {phrase.split()[-1] for phrase in lacking}
        others = {token for at, token in enumerate(tokens) if at not in absent}
        for at in (at for at, token in enumerate(tokens) if token in last and at not in absent):
            others.update(phrase for phrase, _ in self._phrases(tokens, at, absent))
        return lacking, others & lacking

    def _phrases(self, tokens: Sequence[str], at: int, absent: set[int]) -> Iterator[tuple[str, bool]]:
        """The phrases of two words and more that end at a word, and whether the text says that they are absent: "palm
        oil-free" says nothing of palms."""
        behind = self._stands_before_free(tokens, at)
        words, all_absent = [tokens[at]], at in absent
        for place in range(at - 1, -1, -1):
            token = tokens[place]
            if token in "-'’":  # noqa: RUF001
                continue
            if not token[0].isalnum() or token in self._bounds or len(words) == MOST_WORDS:
                return
            words.insert(0, token)
            all_absent = all_absent and (behind or place in absent)
            yield " ".join(words), all_absent

    def _is_absent(self, tokens: Sequence[str], at: int) -> bool:
        """Whether the word is said to be absent: "sugar-free", or at most REACH words behind a "without"."""
        if self._stands_before_free(tokens, at):
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

    def _stands_before_free(self, tokens: Sequence[str], at: int) -> bool:
        behind = [token for token in tokens[at + 1 : at + 3] if token != "-"]
        return bool(behind) and behind[0] in self._behind


def _most_words(query: str, match: re.Match[str]) -> int:
    """Of the phrase behind a word that says that it is absent."""
    negation = re.split(r"[\s-]", match[0], maxsplit=1)[0].lower()
    if negation in OF_A_WORD or match[0][len(negation)] == "-":
        return 1
    if negation in OF_A_NAME and not query[: match.start()].strip():
        return max(min(len(query[match.start("listed") :].split()) - 1, MOST_WORDS), 1)
    return MOST_WORDS


def _is_phrase(words: str, count: Count) -> bool:
    """A number behind a word belongs to it: "windows 11"."""
    counts = count(words)
    share = 0.0 if words[-1].isdigit() else OF_ONE
    return counts.phrase > 0 and counts.phrase >= share * min(counts.first, counts.last)


def _is_own_phrase(words: str, count: Count) -> bool:
    """ "palm-oil" is written in one; of others the first word must mostly stand in the phrase."""
    counts = count(words)
    share = OF_FIRST if " " in words else 0.0
    return counts.phrase > 0 and counts.phrase >= share * counts.first
