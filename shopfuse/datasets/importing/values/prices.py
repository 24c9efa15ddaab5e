"""Prices out of the columns of an export: in which notation, in which currency, and whether the sale price holds.

A text that has two readings (`1.299`) is settled by the mapping's decimal sign, by a currency that has no smaller unit,
or, when all rows are read, by how the other prices of the file are written; where that does not tell, it is left out.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.importing.report import RejectLog
from shopfuse.datasets.importing.sorted_runs import rewrite_run
from shopfuse.datasets.importing.source_rows import Row, RowProblem
from shopfuse.datasets.importing.values.amounts import WHOLE_CODES, Amount, AmountError, currency_code, read_amount
from shopfuse.datasets.importing.values.field_values import BadValueError, as_text, as_timestamp, getter

COMMA_PRICE: Final = (
    "comma_price"  # column of a run: the price, were the comma the decimal sign; null where that is no question
)
_FIRST_YEAR: Final = 1900
_SIGN: Final = {".": "point", ",": "comma"}


class PriceColumn:
    """The prices of an import, read one by one; it remembers how they are written."""

    def __init__(self, notes: Counter[str]) -> None:
        self.notes = notes
        self._decimals: Counter[str] = Counter()  # decimal sign -> prices that can only be read with it

    def read(self, value: Any, source: Source) -> Amount | None:
        """A positive finite amount, scaled; None where there is none, which zero also means."""
        if value is None:
            return None
        if isinstance(value, str):
            return self._text(value, source) if value.strip() else None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise BadValueError("expected a number", value)
        try:
            number = float(value)
        except OverflowError:
            raise BadValueError("expected a number", value) from None
        if not math.isfinite(number) or number < 0:
            raise BadValueError("expected a positive number", value)
        return _positive(_scaled(number, source))

    def _text(self, text: str, source: Source) -> Amount | None:
        try:
            amount = read_amount(text)
        except AmountError as error:
            raise BadValueError(str(error), text) from None
        if amount.grouped is None:
            if amount.decimal in _SIGN:
                self._decimals[amount.decimal] += 1
                if source.decimal not in (None, amount.decimal):
                    self.notes[f"price written with a decimal {_SIGN[amount.decimal]}, read as it is written"] += 1
            return _positive(_scaled(amount.value, source), amount.currencies)
        value, grouped = _scaled(amount.value, source), _scaled(amount.grouped, source)
        if source.decimal is not None:
            return _positive(value if source.decimal == amount.decimal else grouped, amount.currencies)
        return Amount(value, amount.decimal, grouped, amount.currencies)

    def settle(self, runs: Iterable[Path], field: str, log: RejectLog) -> None:
        """Decide the prices of the runs that have two readings, now that all of them are read."""
        points, commas = self._decimals["."], self._decimals[","]
        reading = pl.col("price") if points and not commas else pl.col(COMMA_PRICE) if commas and not points else None
        count = 0
        for path in runs:
            rows = pl.read_parquet(path, columns=["row", "price", COMMA_PRICE]).drop_nulls(COMMA_PRICE)
            if rows.is_empty():
                continue
            count += rows.height
            rewrite_run(path, price=pl.when(pl.col(COMMA_PRICE).is_null()).then("price").otherwise(reading))
            if reading is None:
                for row, point, comma in rows.unique("row", maintain_order=True).iter_rows():
                    log.leave_out(row, RowProblem(field, _UNSETTLED, f"{point:g} or {comma:g}"))
        if count and reading is not None:
            sign = _SIGN["." if points else ","]
            log.note(f"price such as 1.299 or 1,299 read with a decimal {sign}, as the file's other prices", count)


_UNSETTLED: Final = "may be thousands or decimals, and the other prices do not tell; say decimal in the mapping"


def two_readings(amount: Amount) -> tuple[float, float | None]:
    """The amount as it is with a decimal point, and COMMA_PRICE."""
    if amount.grouped is None:
        return amount.value, None
    return (amount.value, amount.grouped) if amount.decimal == "." else (amount.grouped, amount.value)


class OfferReader:
    """What an item costs: its price, or its sale price while that holds, and in which currency."""

    def __init__(self, sources: Mapping[str, Source], notes: Counter[str], now: datetime) -> None:
        self.column = PriceColumn(notes)
        self._notes = notes
        self._now = (now - _EPOCH) // _MICROSECOND
        self._sources = {name: source for name, source in sources.items() if name in _FIELDS}
        self._gets = {name: getter(source.fields[0]) for name, source in self._sources.items() if source.fields}

    def read(self, row: Row, left_out: list[RowProblem]) -> tuple[float | None, float | None, str | None]:
        """The price, COMMA_PRICE and the currency; values that cannot be read go to `left_out`."""
        price = self._amount("price", row, left_out)
        if "sale_price" in self._gets:
            price = self._reduced(price, row, left_out)
        currency = self._currency(row, price.currencies if price else (), left_out)
        if price is None:
            return None, None, currency
        if price.grouped is not None and currency in WHOLE_CODES:
            return price.grouped, None, currency
        return *two_readings(price), currency

    def _amount(self, name: str, row: Row, left_out: list[RowProblem]) -> Amount | None:
        if name not in self._gets:
            return None
        try:
            return self.column.read(self._gets[name](row), self._sources[name])
        except BadValueError as error:
            left_out.append(RowProblem(name, error.problem, str(error.value)[:200]))
            return None

    def _reduced(self, price: Amount | None, row: Row, left_out: list[RowProblem]) -> Amount | None:
        """The sale price where it holds at this moment and is lower, else the price."""
        sale = self._amount("sale_price", row, left_out)
        if sale is None:
            return price
        try:
            starts, ends = self._interval(row)
        except BadValueError as error:
            left_out.append(RowProblem("sale_price", f"when it holds is {error.problem}", str(error.value)[:200]))
            return price
        if not starts <= self._now < ends:
            self._notes["sale price not used: it does not hold now"] += 1
            return price
        if price is not None and sale.value >= price.value and sale.grouped is price.grouped is None:
            if sale.value > price.value:
                left_out.append(RowProblem("sale_price", "is above the price", f"{sale.value:g} > {price.value:g}"))
            return price
        self._notes["sale price used: it holds now"] += 1
        if price is not None and not sale.currencies:
            return replace(sale, currencies=price.currencies)
        return sale

    def _interval(self, row: Row) -> tuple[float, float]:
        """From when, until when the sale price holds, in microseconds; what is not said is open.

        A day without a time of day is the last day on which it holds.
        """
        ends = [(self._sources[name], self._gets[name](row)) if name in self._gets else None for name in _ENDS]
        if "sale_interval" in self._gets and (interval := as_text(self._gets["sale_interval"](row))):
            parts = interval.split("/")
            if len(parts) != 2:
                raise BadValueError("not two times with a slash between", interval)
            ends = [(self._sources["sale_interval"], part) for part in parts]
        starts, until = (as_timestamp(end[1], end[0], _FIRST_YEAR, self._notes) if end else None for end in ends)
        if ends[1] and until is not None and _is_day(*ends[1]):
            until += _DAY
        return -math.inf if starts is None else starts, math.inf if until is None else until

    def _currency(self, row: Row, written: tuple[str, ...], left_out: list[RowProblem]) -> str | None:
        """The code of the currency: what its field says, unless the price itself says another one."""
        source = self._sources.get("currency")
        try:
            text = None if source is None else source.value or as_text(self._gets["currency"](row))
        except BadValueError as error:
            left_out.append(RowProblem("currency", error.problem, str(error.value)[:200]))
            text = None
        stated = currency_code(text.strip()) if text else None
        if not written or stated in written:
            return stated
        if len(written) == 1:
            if stated:
                self._notes[f"currency {written[0]} taken from the price, where the mapping says {stated[:40]}"] += 1
            return written[0]
        which = ", ".join(written[:3])
        self._notes[f"currency left out: the sign in the price may be {which}; say currency in the mapping"] += 1
        return None


_ENDS: Final = ("sale_from", "sale_until")
_FIELDS: Final = ("price", "sale_price", "currency", "sale_from", "sale_until", "sale_interval")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1) // _MICROSECOND


def _is_day(source: Source, value: Any) -> bool:
    """Whether a time that could be read has no time of day."""
    if not isinstance(value, str):
        return isinstance(value, date) and not isinstance(value, datetime)
    if source.format == "iso":
        return not re.search("[:T]", value)
    return "%" in source.format and not any(part in source.format for part in ("%H", "%I", "%X", "%c"))


def _positive(value: float, currencies: tuple[str, ...] = ()) -> Amount | None:
    return Amount(value, "", None, currencies) if value else None


def _scaled(number: float, source: Source) -> float:
    # cents times 0.01 is 49.949999...: round to what a currency can express, with room for fractions of a cent
    return round(number * source.scale, 6)
