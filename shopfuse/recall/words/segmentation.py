"""Where words begin and end in scripts that write none apart, and which characters are the same.

Chinese is cut by rjieba's dictionary, long words with the words inside them, and without guesses at unknown words:
those depend on what stands beside them, and an item would then be cut elsewhere than the query that means it. Its
traditional characters become simplified ones (OpenCC). Japanese and Thai are cut by the dictionaries of ICU, in runs of
their letters, kana also by the words of the catalogue (words/kana.py): all else stays as it is. Each is loaded for a
shop in its language only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata

from shopfuse.recall.words.kana import cut_kana

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = re.compile(f"[{HAN}]+")
_KANA = re.compile("[\u3040-\u30ff]")
_ENDINGS = "子儿兒"
_RUNS = {
    "ja": re.compile(f"[\u3005\u3040-\u30ff\u31f0-\u31ff{HAN}]+"),  # with the marks of repeated and long sounds
    "th": re.compile("[\u0e00-\u0e7f]+"),
}


@dataclass(frozen=True, slots=True)
class Segmenter:
    """`in_order`: the words of a text one after the other. `inside`: of a query, also the words inside long ones, and
    kana as katakana. `same`: the text with the characters that nobody who searches tells apart."""

    in_order: Callable[[str], str]
    inside: Callable[[str], str]
    same: Callable[[str], str]
    identity: str  # names what decides how words are cut

    def of_item(self, text: str) -> str:
        """With the words inside long ones and each Chinese character by itself: whoever types fewer finds it."""
        cut = self.inside(text)
        return " ".join([cut, *(char for run in _HAN.findall(cut) if len(run) > 1 for char in run)])


def segmenters_of(languages: Sequence[str], kana: Collection[str] = ()) -> list[Segmenter]:
    """Of the languages of a catalogue. Among several Chinese cuts its own script alone, and what is written as in
    Japanese, without kana, is cut by the first of the two."""
    codes = list(dict.fromkeys(code.split("-")[0] for code in languages))
    found = {code: segmenter for code in codes if (segmenter := segmenter_of(code, kana))}
    if len(codes) > 1 and "zh" in found:
        japanese_first = "ja" in codes[: codes.index("zh")]
        found["zh"] = _of_runs(found["zh"], lambda run: not (japanese_first or _KANA.search(run)))
        if "ja" in found and not japanese_first:
            found["ja"] = _of_runs(found["ja"], lambda run: _KANA.search(run) is not None)
    return list(found.values())


def segmenter_of(language: str, kana: Collection[str] = ()) -> Segmenter | None:
    """None for a language that separates its words by spaces. `kana`: the words that a query's kana may be cut into."""
    code = language.split("-")[0]
    if code == "zh":
        identity = f"{_installed('rjieba')}, {_installed('opencc')}"
        return Segmenter(_chinese, _chinese_inside, _simplified, identity)
    if code in _RUNS:
        cut = _by_icu(code)
        inside = _by_icu(code, lambda pieces: cut_kana(pieces, kana)) if code == "ja" else cut
        return Segmenter(cut, inside, _with_sara_am, _installed("icu4py"))
    return None


def _of_runs(segmenter: Segmenter, takes: Callable[[str], bool]) -> Segmenter:
    """The segmenter for those runs of Chinese and Japanese letters that it takes."""
    inside = segmenter.inside

    def cut(text: str) -> str:
        return _RUNS["ja"].sub(lambda run: f" {inside(run[0])} " if takes(run[0]) else run[0], text)

    return replace(segmenter, inside=cut)


def han_runs(text: str) -> list[str]:
    """The runs of Chinese characters in a text."""
    return _HAN.findall(text)


def is_han(word: str) -> bool:
    """Whether a word is of Chinese characters alone."""
    return _HAN.fullmatch(word) is not None


def telling_characters(word: str) -> str:
    """A word of Chinese characters without endings that say nothing: 鞋 of 鞋子."""
    return word.rstrip(_ENDINGS) or word


def _installed(package: str) -> str:
    return f"{package} {metadata.version(package)}"


def _chinese(text: str) -> str:
    import rjieba  # its dictionary takes 30 MB and 0.1 s

    return _spaced(rjieba.cut(text, hmm=False))


def _chinese_inside(text: str) -> str:
    import rjieba

    return _spaced(rjieba.cut_for_search(text, hmm=False))


def _simplified(text: str) -> str:
    return str(_opencc().convert(text)) if _HAN.search(text) else text


@cache
def _opencc():  # type: ignore[no-untyped-def]  # the package has no types
    from opencc import OpenCC

    return OpenCC("t2s")


def _with_sara_am(text: str) -> str:
    """NFKC takes the Thai vowel in two, and no dictionary has a word with its parts."""
    return text.replace("\u0e4d\u0e32", "\u0e33")


def _by_icu(code: str, better: Callable[[list[str]], Iterable[str]] = iter) -> Callable[[str], str]:
    """`better`: what becomes of a run's words."""

    def cut(text: str) -> str:
        from icu4py.breakers import WordBreaker  # ICU's data take 40 MB

        return _RUNS[code].sub(lambda run: f" {_spaced(better([*map(str, WordBreaker(run[0], code))]))} ", text)

    return cut


def _spaced(words: Iterable[str]) -> str:
    return " ".join(map(str, words))
