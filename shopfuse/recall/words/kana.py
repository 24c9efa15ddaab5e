"""Japanese words as they sound: くつ, クツ and 靴 are one word, すにーかー is スニーカー.

Words of kana are compared as katakana. A build adds the readings of words in Chinese characters to its items
(CatalogueItem.sounds) and writes down every word of kana that the catalogue then has: with these a query's kana are cut
where the dictionary of ICU, which knows words as they are usually written, leaves single letters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

MIN_KANA = 2  # of a word that is told by its sound
MAX_KANA = 16

_HIRAGANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
_KANA = re.compile("[\u3041-\u309e\u30a1-\u30fe]+")
_KATAKANA = re.compile(f"[\u30a1-\u30fe]{{{MIN_KANA},{MAX_KANA}}}")


def katakana(text: str) -> str:
    """The text with its hiragana as katakana."""
    return text.translate(_HIRAGANA)


def cut_kana(pieces: Sequence[str], words: Collection[str]) -> Iterator[str]:
    """The pieces of a text without spaces, in katakana; runs of kana whose pieces are no `words` cut anew into them."""
    for is_kana, run in groupby(pieces, lambda piece: _KANA.fullmatch(piece) is not None):
        cut = [katakana(piece) for piece in run]
        yield from _better_cut(cut, words) if is_kana and any(piece not in words for piece in cut) else cut


def _better_cut(cut: list[str], words: Collection[str]) -> list[str]:
    """From the left, the longest words first; what lies between them stays together. Where that leaves more than a
    letter in one place, as パン does of パンプス, the old cut was better, unless that is letters."""
    kana, found, rests, at = "".join(cut), list[str](), [""], 0
    while at < len(kana):
        ends = range(min(at + MAX_KANA, len(kana)), at + MIN_KANA - 1, -1)
        end = next((end for end in ends if kana[at:end] in words), at)
        if end > at:
            found += [*filter(None, rests[-1:]), kana[at:end]]
            rests.append("")
        else:
            end = at + 1
            rests[-1] += kana[at]
        at = end
    letters = any(len(one) == len(two) == 1 for one, two in pairwise(cut))
    is_better = len(rests) > 1 and (letters or max(map(len, rests)) < MIN_KANA)
    return [*found, *filter(None, rests[-1:])] if is_better else cut


def told_by_sound(words: Iterable[str]) -> set[str]:
    """Those of katakana that are long enough to be told from others."""
    return {word for word in words if _KATAKANA.fullmatch(word)}
