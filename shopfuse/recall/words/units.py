"""Numbers with their units as one word each, however they are written: 16 GB and 16gb, 15" and 15-inch, 1 TB, 1000 GB.

An item of 15.6" is also found by 15": shoppers round down. Units of one letter stand for themselves: 3m may be a
brand. No conversion between systems, so centimetres never become inches.
"""

from __future__ import annotations

import re

# spelling -> the unit that it is counted in, and how many of those it is
UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("tb", "terabyte", "terabytes"), ("gb", 1000.0)),
    **dict.fromkeys(("gb", "gigabyte", "gigabytes"), ("gb", 1.0)),
    **dict.fromkeys(("mb", "megabyte", "megabytes"), ("mb", 1.0)),
    **dict.fromkeys(('"', "”", "″", "''", "inch", "inches", "zoll", "pouces", "英寸"), ("inch", 1.0)),
    "ghz": ("mhz", 1000.0),
    "mhz": ("mhz", 1.0),
    **dict.fromkeys(("mah", "毫安"), ("mah", 1.0)),
    **dict.fromkeys(("w", "watt", "watts"), ("w", 1.0)),
    **dict.fromkeys(("ml", "毫升"), ("ml", 1.0)),
    **dict.fromkeys(("l", "litre", "litres", "liter", "liters", "升"), ("l", 1.0)),
    **dict.fromkeys(("kg", "公斤", "千克"), ("kg", 1.0)),
    **dict.fromkeys(("g", "克"), ("g", 1.0)),
    **dict.fromkeys(("mm", "毫米"), ("mm", 1.0)),
    **dict.fromkeys(("cm", "厘米"), ("mm", 10.0)),
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters", "米"), ("m", 1.0)),
}
_SPELLINGS = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
_MEASURE = re.compile(
    rf"(?<![A-Za-z0-9.,])(\d{{1,6}}(?:[.,]\d{{1,3}})?)[ -]?({_SPELLINGS})(?![A-Za-z0-9])", re.IGNORECASE
)
_THOUSANDS = re.compile(r"\d{1,3},\d{3}")


def measures(text: str) -> list[str]:
    """One word for each measure of an item's text, and one for it rounded down where it is not whole."""
    measured = [_measured(match) for match in _MEASURE.finditer(text)]
    return [
        word for amount, unit in measured for word in dict.fromkeys((_word(amount, unit), _word(int(amount), unit)))
    ]


def with_measures(query: str) -> str:
    """The query with a single word in the place of every measure."""
    return _MEASURE.sub(lambda match: f" {_word(*_measured(match))} ", query)


def _measured(match: re.Match[str]) -> tuple[float, str]:
    number, (unit, factor) = match[1], UNITS[match[2].lower()]
    plain = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number.replace(",", ".")
    return round(float(plain) * factor, 3), unit


def _word(amount: float, unit: str) -> str:
    """Letters and digits only, so that it stays one word."""
    return f"{amount:g}".replace(".", "p").replace("+", "") + unit if amount < 1e6 else f"{int(amount)}{unit}"
