"""What a lexical index knows about words beside the index itself: how they were cut, corrected, joined and written.

Titles say "laptop" where queries say "laptops". The lexical channel compares stems and needs no usual forms, but a text
encoder reads the letters, and may place the plural elsewhere: beside bags for laptops. They are learned from the
catalogue, in whatever language its stems are.

Small files in the index's folder, signed with the release. A query cut by other rules than the items finds less,
without any error: hence such an index is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.words.analysis import CatalogueAnalyser
from shopfuse.recall.words.brands import CATEGORIES, BrandNames, Brands, read_brands, write_brands
from shopfuse.recall.words.compounds import Compounds
from shopfuse.recall.words.joints import Joints, Pairs, read_joints, write_joints
from shopfuse.recall.words.json_files import read_words, write_words
from shopfuse.recall.words.kana import told_by_sound
from shopfuse.recall.words.known_words import KnownWords, build_known_words
from shopfuse.recall.words.readings import MAX_READINGS, NO_READINGS, Readings, Spoken, read_readings, write_readings
from shopfuse.recall.words.segmentation import segmenter_of
from shopfuse.recall.words.spelling import MAX_WORDS, Spelling, build_spelling
from shopfuse.recall.words.units import without_measures, writings
from shopfuse.release.manifest import ReleaseError

ANALYSER, SPELLING, KNOWN, USUAL_FORMS = "analyser.json", "spelling", "known", "usual_forms.json"
USUAL_QUANTITIES = "usual_quantities.json"
MAX_QUANTITIES = 50_000

UsualForms = dict[str, str]  # stem -> the word of that stem which most items hold
UsualQuantities = dict[str, str]  # the words that stand for a quantity -> how most titles write it: "1500ml" -> "1.5 l"


@dataclass(frozen=True, slots=True)
class WordKnowledge:
    analyser: CatalogueAnalyser
    spelling: Spelling
    known: KnownWords
    joints: Joints
    brands: Brands
    categories: Brands
    usual_forms: dict[str, UsualForms]  # by language
    usual_quantities: UsualQuantities
    compounds: dict[str, Compounds]  # by language that has some
    readings: Readings  # of a shop in Chinese or Japanese


@dataclass(slots=True)
class Vocabulary:
    """Counts words, neighbours and brands while a catalogue goes by."""

    analyser: CatalogueAnalyser
    items_with: Counter[str] = field(default_factory=Counter)
    pairs: Pairs = field(default_factory=Pairs)
    quantities: Counter[tuple[str, str]] = field(default_factory=Counter)
    brands: BrandNames = field(default_factory=BrandNames)
    spoken: Spoken | None = None  # of Chinese
    kana: set[str] = field(default_factory=set)  # of Japanese
    by_language: dict[str, Counter[str]] = field(default_factory=dict)  # items_with, where there are several

    @classmethod
    def of(cls, analyser: CatalogueAnalyser) -> Vocabulary:
        chinese = segmenter_of("zh") if "zh" in {one.language.split("-")[0] for one in analyser.each} else None
        by_language = {one.language: Counter[str]() for one in analyser.each} if analyser.others else {}
        return cls(analyser, spoken=Spoken(chinese.in_order) if chinese else None, by_language=by_language)

    def add(self, item: CatalogueItem, others: str) -> None:
        """One item, and the text of its telling fields beside the title."""
        analyser, title, brand = self.analyser, item.title, item.brand or ""
        words = {*analyser.surface(title), *analyser.surface(others)}
        self.items_with.update(words)
        if self.by_language:
            self.by_language[analyser.of(item.language).language].update(words)
        folded = analyser.folded(title)
        self.pairs.add(analyser.tokens(without_measures(folded)))
        self.quantities.update(writings(folded))
        self.brands.add(brand, analyser.surface(brand))
        if self.spoken is not None and analyser.of(item.language).language.startswith("zh"):
            self.spoken.add(f"{folded} {analyser.folded(others)}")
        self.kana |= told_by_sound((*words, *item.sounds))

    def readings(self) -> Readings:
        pinyin = NO_READINGS if self.spoken is None else self.spoken.readings()
        return replace(pinyin, kana=frozenset(sorted(self.kana)[:MAX_READINGS]))

    def joints(self) -> Joints:
        return self.pairs.joints(self.items_with, self.analyser.stem)


def write_knowledge(folder: Path, vocabulary: Vocabulary, joints: Joints) -> None:
    analyser = vocabulary.analyser
    content = {"language": analyser.language, "others": analyser.others, "identity": analyser.identity}
    (folder / ANALYSER).write_text(json.dumps(content) + "\n", encoding="utf-8")
    build_spelling(folder / SPELLING, vocabulary.items_with)
    build_known_words(folder / KNOWN, vocabulary.items_with, (analyser.language, *analyser.others))
    write_joints(folder, joints)
    write_brands(folder, vocabulary.brands.believed(vocabulary.items_with))
    usual = dict(pair for pair, _ in reversed(vocabulary.quantities.most_common(MAX_QUANTITIES)))
    write_words(folder / USUAL_QUANTITIES, usual)
    if analyser.is_spoken:
        write_readings(folder, vocabulary.readings())
    counts = vocabulary.by_language or {analyser.language: vocabulary.items_with}
    forms = {language: _usual_forms(items_with, analyser.of(language).stem) for language, items_with in counts.items()}
    write_words(folder / USUAL_FORMS, forms)


def read_knowledge(folder: Path) -> WordKnowledge:
    """Raises ReleaseError naming the file where it is missing, damaged, or of rules that this program does not have."""
    analyser, readings = _read_analyser(folder / ANALYSER), NO_READINGS
    if analyser.is_spoken:
        readings = read_readings(folder)
        analyser = CatalogueAnalyser(analyser.language, *analyser.others, kana=readings.kana)
    forms = _read_forms(folder / USUAL_FORMS)
    return WordKnowledge(
        analyser,
        Spelling.open(folder / SPELLING),
        KnownWords.open(folder / KNOWN),
        read_joints(folder),
        read_brands(folder),
        read_brands(folder, CATEGORIES),
        forms,
        _read_usual(folder / USUAL_QUANTITIES, "how a catalogue writes quantities"),
        {one.language: Compounds.of(forms.get(one.language, ())) for one in analyser.each if one.compounds},
        readings,
    )


def _read_analyser(path: Path) -> CatalogueAnalyser:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        language, identity = str(content["language"]), str(content["identity"])
        others = [str(other) for other in content.get("others", ())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{path}: does not say how the index's words were cut ({error!r})") from error
    try:
        analyser = CatalogueAnalyser(language, *others)
    except ShopfuseError as error:
        raise ReleaseError(f"{path}: {error}") from error
    if analyser.identity != identity:
        raise ReleaseError(
            f"{path}: words cut by {identity!r}, this program's are {analyser.identity!r}: serve the release with the "
            "version of shopfuse that built it, or build a new one"
        )
    return analyser


def _usual_forms(items_with: Mapping[str, int], stem: Callable[[str], str]) -> UsualForms:
    """Of the most frequent words, told by in how many items each word of the catalogue occurs."""
    words = (word for word in items_with if word.isalpha())
    frequent = sorted(words, key=lambda word: (-items_with[word], word))[:MAX_WORDS]
    return {stem(word): word for word in reversed(frequent)}


def _read_forms(path: Path) -> dict[str, UsualForms]:
    return read_words(
        path,
        "the usual forms of a catalogue's words",
        lambda content: {
            str(language): {str(stem): str(usual) for stem, usual in forms.items()}
            for language, forms in content.items()
        },
    )


def _read_usual(path: Path, what: str) -> dict[str, str]:
    return read_words(path, what, lambda content: {str(key): str(usual) for key, usual in content.items()})
