"""The prices that a query names: "under 50", "from 20 to 40", "bis 50 euro". They become a filter and leave the words.

A number is a price where money stands at it, or behind a word that speaks of prices alone, and never where a unit, an
age or a size follows: a monitor under 27 inches is no bargain. Which currency is meant is not looked at: a shop's
prices are in its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shopfuse.recall.words.units import UNITS

# Behind these a bare number is a price; the others are also said of sizes and ages and need money at the number.
BELOW = (
    "under", "below", "less than", "cheaper than", "unter", "weniger als", "günstiger als", "billiger als",
    "moins de", "menos de", "meno di", "minder dan", "onder",
)  # fmt: skip
AT_MOST = (
    "up to", "at most", "no more than", "max", "max.", "maximum", "maximal", "höchstens", "bis zu", "bis",
    "jusqu'à", "maximum de", "hasta", "máximo", "fino a", "massimo", "até", "tot", "upp till", "op til",
)  # fmt: skip
ABOVE = (
    "more than",
    "over",
    "above",
    "über",
    "mehr als",
    "plus de",
    "más de",
    "più di",
    "mais de",
    "meer dan",
    "boven",
)
AT_LEAST = ("from", "at least", "min", "min.", "minimum", "ab", "mindestens", "à partir de", "desde", "da", "vanaf")
RANGES = (
    ("between", "and"), ("from", "to"), ("zwischen", "und"), ("von", "bis"), ("entre", "et"), ("de", "à"),
    ("entre", "y"),    ("desde", "hasta"), ("entre", "e"), ("tra", "e"), ("da", "a"), ("tussen", "en"), ("van", "tot"),
)  # fmt: skip
BARE_RANGES = frozenset((*RANGES[:4], ("entre", "et"), ("entre", "y"), ("tra", "e"), ("tussen", "en")))
# What follows a number that counts something else than money.
COUNTED = (
    "year", "years", "month", "months", "day", "days", "hour", "hours", "pieces", "pcs", "pack", "packs", "people",
    "persons", "size", "sizes", "jahre", "jahren", "monate", "monaten", "tage", "stück", "teile", "personen", "ans",
    "mois", "pièces", "personnes", "años", "meses", "piezas", "anni", "mesi", "pezzi", "jaar", "stuks", "v", "volt",
    "volts", "ah", "hz", "a", "lbs", "oz", "ft", "feet", "gram", "grams", "gramm", "percent", "%", "°", "+", "k", "mp",
)  # fmt: skip

_MONEY = r"(?:€|\$|£|¥|eur(?:os?)?|usd|gbp|chf|dollars?|bucks?|pounds?|franken|francs?|kr|zł|pln|sek|nok|dkk)"
_NUMBER = r"(\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?|\d{1,7}(?:[.,]\d{1,2})?)"
_UNIT = "|".join(re.escape(word) for word in sorted({*UNITS, *COUNTED}, key=len, reverse=True))
_NO_UNIT = rf"(?![\w])(?![.,]\d)(?!\s?-?(?:{_UNIT})(?!\w))"
_PAID = rf"(?:{_MONEY}\s?{_NUMBER}(?![\w])|{_NUMBER}\s?(?:{_MONEY}(?!\w)|,?-(?=\s|$)))"
_BARE = rf"(?:{_NUMBER}{_NO_UNIT})"
_START, _SPACE = r"(?<![\w-])", r"\s+"


@dataclass(frozen=True, slots=True)
class PriceLimits:
    text: str  # the query without them
    min_price: float | None = None
    max_price: float | None = None


def price_limits(query: str) -> PriceLimits:
    """What the query says of prices. Of several sayings about one end the last one counts."""
    low: float | None = None
    high: float | None = None
    for pattern in _ALL_RANGES:
        if (match := pattern.search(query)) is not None:
            first, second = (_amount(value) for value in match.groups() if value is not None)
            low, high = min(first, second), max(first, second)
            query = _cut(query, match)
    for pattern in _UPPER:
        if (match := pattern.search(query)) is not None and (amount := _matched(match)) > 0:
            high, query = amount, _cut(query, match)
    for pattern in _LOWER:
        if (match := pattern.search(query)) is not None:
            low, query = _matched(match), _cut(query, match)
    return PriceLimits(query.strip(), low, high)


def _patterns(words: tuple[str, ...], number: str) -> re.Pattern[str]:
    named = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"{_START}(?:{named}){_SPACE}{number}", re.IGNORECASE)


def _range(first: str, second: str) -> re.Pattern[str]:
    """Money at either number is enough, and none is needed behind words that mostly speak of prices."""
    numbers = [(_PAID, _PAID), (_PAID, _BARE), (_BARE, _PAID)]
    if (first, second) in BARE_RANGES:
        numbers.append((_BARE, _BARE))
    either = "|".join(rf"{low}{_SPACE}{re.escape(second)}{_SPACE}{high}" for low, high in numbers)
    return re.compile(rf"{_START}{re.escape(first)}{_SPACE}(?:{either})", re.IGNORECASE)


_DASH = re.compile(rf"(?<![\w.,-])(?:{_NUMBER}\s?[-–]\s?{_PAID}|{_PAID}\s?[-–]\s?{_NUMBER}(?!\w))", re.IGNORECASE)  # noqa: RUF001
_ALL_RANGES = (*(_range(first, second) for first, second in RANGES), _DASH)
_UPPER = (_patterns(BELOW, rf"(?:{_PAID}|{_BARE})"), _patterns(AT_MOST, _PAID))
_LOWER = (_patterns(ABOVE, _PAID), _patterns(AT_LEAST, _PAID))


def _matched(match: re.Match[str]) -> float:
    return next(_amount(value) for value in match.groups() if value is not None)


def _cut(query: str, match: re.Match[str]) -> str:
    return f"{query[: match.start()].rstrip()} {query[match.end() :].lstrip()}"


def _amount(number: str) -> float:
    """1,000 and 1.000 and 1 000 are a thousand; 49,99 and 49.99 are not."""
    whole, separator, cents = re.fullmatch(r"(.*?)(?:([.,])(\d{1,2}))?", number).groups()  # type: ignore[union-attr]
    digits = re.sub(r"\D", "", whole)
    return float(f"{digits}.{cents}") if separator else float(digits)
