"""Quantities: numbers with their units as one word each, however they are written, and as values to compare.

16 GB and 16gb, 15" and 15-inch, 1.5 l and 1500 ml, 1/2" and 0.5 in are one word each; 4x40, 4 x 40 mm and M8 x 40 are
dimensions. Units of a kind are counted in one of them, but no length is converted between inches and millimetres:
shops round such conversions as they like.

A table, not a library of units: pint knows neither "zoll" nor which spellings shoppers type, and reads "a", "in" and
"m" wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# the unit that a kind is counted in -> its spellings, and how many of that unit one of them is
_TABLE: dict[str, dict[str, float]] = {
    "gb": {"tb": 1000, "terabyte": 1000, "terabytes": 1000, "gb": 1, "gigabyte": 1, "gigabytes": 1},
    "mb": {"mb": 1, "megabyte": 1, "megabytes": 1},
    "inch": dict.fromkeys(
        ('"', "”", "″", "''", "in", "inch", "inches", "zoll", "pouce", "pouces", "pulgadas", "tum", "英寸"), 1
    ),
    "ft": dict.fromkeys(("ft", "foot", "feet"), 1),
    "mm": {
        **dict.fromkeys(("mm", "millimetre", "millimeter", "millimetres", "millimeters", "毫米"), 1),
        **dict.fromkeys(("cm", "centimetre", "centimeter", "centimetres", "centimeters", "zentimeter", "厘米"), 10),
        **dict.fromkeys(("m", "metre", "metres", "meter", "meters", "mètre", "mètres", "米"), 1000),
    },
    "g": {
        "mg": 0.001,
        **dict.fromkeys(("g", "gr", "gram", "grams", "gramm", "gramme", "grammes", "克"), 1),
        **dict.fromkeys(("kg", "kilo", "kilos", "kilogram", "kilograms", "kilogramm", "公斤", "千克"), 1000),
    },
    "lb": dict.fromkeys(("lb", "lbs", "pound", "pounds"), 1),
    "floz": dict.fromkeys(("fl oz", "fl. oz", "fl.oz", "floz"), 1),
    "oz": dict.fromkeys(("oz", "ounce", "ounces"), 1),
    "ml": {
        **dict.fromkeys(("ml", "millilitre", "milliliter", "millilitres", "milliliters", "毫升"), 1),
        "cl": 10,
        "dl": 100,
        **dict.fromkeys(("l", "ltr", "litre", "litres", "liter", "liters", "litro", "litros", "升"), 1000),
    },
    "v": {**dict.fromkeys(("v", "volt", "volts", "vdc", "vac", "伏"), 1), "kv": 1000},
    "ma": {"ma": 1, **dict.fromkeys(("a", "amp", "amps", "ampere", "amperes", "安"), 1000)},
    "mah": {**dict.fromkeys(("mah", "毫安"), 1), "ah": 1000},
    "wh": {"wh": 1, "kwh": 1000},
    "w": {**dict.fromkeys(("w", "watt", "watts", "瓦"), 1), "kw": 1000},
    "hz": {"hz": 1, "hertz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    "mp": dict.fromkeys(("mp", "mpx", "mpix", "megapixel", "megapixels"), 1),
    "lm": dict.fromkeys(("lm", "lumen", "lumens"), 1),
    "mbps": {**dict.fromkeys(("mbps", "mbit/s", "mb/s"), 1), **dict.fromkeys(("gbps", "gbit/s", "gb/s"), 1000)},
    "bar": {"bar": 1},
    "rpm": dict.fromkeys(("rpm", "u/min"), 1),
}
UNITS = {spelling: (unit, float(factor)) for unit, row in _TABLE.items() for spelling, factor in row.items()}
THREAD = "thread"  # the 8 of M8
KINDS = (*_TABLE, THREAD, *(f"side {place} of {sides}" for sides in (2, 3) for place in range(1, sides + 1)))
DIAGONAL = 10.0  # inches from which a screen of 15.6" is also found by 15": shoppers round down
TOLERANCE = 0.01  # of a value: catalogues round
LENGTHS = frozenset(("mm", "inch", "ft"))

_FRACTION = r"(?:\d{1,2}[ -])?\d{1,2}[/\u2044](?:64|32|16|10|8|6|5|4|3|2)(?![\d/\u2044])"  # 1/2, 1 1/2, 1-1/2
_NUMBER = rf"(?:{_FRACTION}|\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,6}}(?:[.,]\d{{1,3}})?(?!\d))"
_SPELLINGS = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
_START, _END = r"(?<![A-Za-z0-9.,/\u2044])(?<![A-Za-z0-9]-)", r"(?![^\W_])"
_UNIT = rf"[ -]?(?:{_SPELLINGS}){_END}(?!(?<=in)[ -]?\d)"  # "2 in 1" is no length
_SIDE = rf"{_NUMBER}(?:{_UNIT})?"
_QUANTITY = re.compile(
    rf"{_START}(?P<thread>m)?(?P<sides>{_SIDE}(?:\s?[x\u00d7*]\s?{_SIDE}){{1,2}}){_END}"
    rf"|{_START}(?P<one>{_NUMBER}{_UNIT}|{_FRACTION}{_END})",
    re.IGNORECASE,
)
_ONE = re.compile(rf"({_NUMBER})({_UNIT})?", re.IGNORECASE)
_THREAD = re.compile(r"(?<![^\W_])m(\d{1,2})(?![^\W_]|[.,/]\d)", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_QUOTED = re.compile(r'(?<!\S)"(?=\S)([^"]*)"(?!\S)')  # a phrase in quotes is no number of inches


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in the unit of its kind, one of KINDS."""

    kind: str
    value: float

    @property
    def word(self) -> str:
        """Letters and digits only, so that it stays one word."""
        return _plain(self.value) + self.kind


@dataclass(frozen=True, slots=True)
class _Found:
    """A piece of text that states quantities."""

    start: int
    end: int
    words: tuple[str, ...]  # that stand for it in a query
    also: tuple[str, ...]  # that an item is found by besides
    quantities: tuple[Quantity, ...]


def measures(text: str) -> list[str]:
    """The words by which an item's quantities are found."""
    return [word for found in _found(_unquoted(text)) for word in dict.fromkeys((*found.words, *found.also))]


def with_measures(query: str) -> str:
    """The query with its words in the place of every quantity."""
    return _replaced(query, lambda found: " ".join(found.words))


def writings(text: str) -> list[tuple[str, str]]:
    """(the words that stand for it in a query, as it is written) of each quantity."""
    text = _unquoted(text)
    return [(" ".join(found.words), text[found.start : found.end]) for found in _found(text)]


def rewritten(query: str, usual: Mapping[str, str]) -> str:
    """The query with its quantities as others write them, by the words that stand for each."""
    text, last, parts = query, 0, []
    for found in _found(text):
        parts += [text[last : found.start], usual.get(" ".join(found.words), text[found.start : found.end])]
        last = found.end
    return "".join((*parts, text[last:]))


def without_measures(text: str) -> str:
    """The text with a comma in the place of every quantity: what stood beside one does not stand together."""
    return _replaced(text, lambda _: ",")


def quantities(text: str) -> tuple[Quantity, ...]:
    """What a text says in numbers, distinct."""
    text = _unquoted(text)
    threads = [Quantity(THREAD, float(match[1])) for match in _THREAD.finditer(text)]
    return tuple(dict.fromkeys([*threads, *(value for found in _found(text) for value in found.quantities)]))


def told_quantities(text: str) -> list[tuple[str, Quantity]]:
    """Each quantity with a unit of its own, and how it is written: what a reader can be told."""
    text = _unquoted(text)
    return [
        (text[found.start : found.end].strip(), quantity)
        for found in _found(text)
        for quantity in found.quantities
        if quantity.kind in _TABLE
    ]


def same(asked: Quantity, stated: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values of the same kind are the one that is asked for, [n]: rounded as catalogues do, or a diagonal as
    shoppers do."""
    close: NDArray[np.bool_] = np.abs(asked.value - stated) <= TOLERANCE * stated
    return close | (np.floor(stated) == asked.value) if _is_diagonal(asked) else close


def _replaced(text: str, by: Callable[[_Found], str]) -> str:
    text, last, parts = _unquoted(text), 0, []
    for found in _found(text):
        parts += [text[last : found.start], f" {by(found)} "]
        last = found.end
    return "".join((*parts, text[last:]))


def _unquoted(text: str) -> str:
    return _QUOTED.sub(r" \1 ", text) if '"' in text else text


@lru_cache(8)
def _found(text: str) -> tuple[_Found, ...]:
    """Remembered for a moment: a text's words are asked for in several ways, one after the other."""
    matches = _QUANTITY.finditer(text)
    return tuple(_dimensions(match) if match["sides"] else _measure(match) for match in matches)


def _measure(match: re.Match[str]) -> _Found:
    one = _ONE.fullmatch(match["one"])
    assert one is not None
    quantity = _quantity(one)
    rounded = Quantity(quantity.kind, float(int(quantity.value)))
    also = (rounded.word,) if _is_diagonal(quantity) and "/" not in one[1] else ()
    return _Found(*match.span(), (quantity.word,), also, (quantity,))


def _dimensions(match: re.Match[str]) -> _Found:
    """4 x 40 mm is 4x40, and also 40 mm; of 2 x 8 GB the 8 GB are as telling as the 2x8."""
    ones = list(_ONE.finditer(match["sides"]))
    values = [_value(one[1]) for one in ones]
    sides = [Quantity(f"side {place} of {len(values)}", value) for place, value in enumerate(values, 1)]
    thread = f"m{_plain(values[0])}" if match["thread"] else ""
    if thread:
        sides[0] = Quantity(THREAD, values[0])
    measured = [_quantity(one) for one in ones if one[2]]
    others = tuple(quantity.word for quantity in measured if quantity.kind not in LENGTHS)
    also = (*((thread,) if thread else ()), *(quantity.word for quantity in measured))
    word = ("m" if thread else "") + "x".join(map(_plain, values))
    return _Found(*match.span(), (word, *others), also, (*sides, *measured))


def _quantity(one: re.Match[str]) -> Quantity:
    """A fraction without a unit is of an inch."""
    kind, factor = UNITS[one[2].lower().lstrip(" -")] if one[2] else ("inch", 1.0)
    return Quantity(kind, round(_value(one[1]) * factor, 6))


def _value(number: str) -> float:
    if _THOUSANDS.fullmatch(number):
        return float(number.replace(",", ""))
    *whole, last = number.replace("\u2044", "/").replace("-", " ").split()
    above, _, below = last.replace(",", ".").partition("/")
    return sum(map(float, whole)) + float(above) / float(below or 1)


def _plain(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", "p")


def _is_diagonal(quantity: Quantity) -> bool:
    return quantity.kind == "inch" and quantity.value >= DIAGONAL
