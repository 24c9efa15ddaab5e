"""What an import did, and the file of rows that it set aside.

The report is for people and programs alike; printing it is the command line's work.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing.source_rows import RowProblem

MIN_BAD_ROWS: Final = 20  # fewer bad rows than this never stop an import
_FIRST: Final = 20  # rejections kept in the report itself
_KINDS: Final = 200  # different notes or problems that are counted apart


class TooManyBadRowsError(ShopfuseError):
    """So many rows are bad that the mapping or the file is wrong; nothing was imported."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One line of rejects.jsonl. `row_kept` is true where only the field was left out."""

    file: str
    row: int
    field: str
    problem: str
    value: str
    row_kept: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Values of one field that could not be taken for one reason; their rows went in without them."""

    field: str
    problem: str
    count: int
    row: int  # the first one
    value: str  # its value


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Counts of one import. added + updated + unchanged are items (or events); rejected and superseded are rows.

    Of a catalogue, rows = added + updated + unchanged + rejected + superseded + repeated.
    """

    file: str
    rows: int
    added: int
    updated: int
    unchanged: int
    rejected: int
    superseded: int  # rows overruled by a later row with the same id and other content
    repeated: int  # rows that a later row says again, word for word
    images: int  # images stored from this file
    unknown_items: int  # different items that events speak of and the catalogue does not hold
    left_out: tuple[LeftOut, ...]  # values of rows that went in without them, most frequent first
    lacking: int  # items that were there before and that no row of a catalogue names
    retired: int  # of them, those that were retired
    returned: int  # items that were retired before and are in the file
    read_as: str  # what the file was taken for: format, delimiter, encoding
    warnings: tuple[str, ...]  # what somebody should look at, though no row is bad for it
    notes: Mapping[str, int]  # what was cut, assumed or ignored, and how often
    first_rejections: tuple[Rejection, ...]
    rejects_path: Path
    seconds: float


class RejectLog:
    """Writes rejected rows to a file as they come and counts them by kind."""

    def __init__(self, source: Path, file: TextIO) -> None:
        self.first: list[Rejection] = []
        self.notes: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.read_as = ""
        self.rows = 0
        self.rejected = 0
        self.superseded = 0
        self._kinds: dict[tuple[str, str], list[int]] = {}  # (field, problem) -> count, first row
        self._left_out: dict[tuple[str, str], LeftOut] = {}
        self._rows_without: Counter[str] = Counter()  # field -> rows that went in without a value of theirs
        self._last_without: dict[str, int] = {}  # field -> the last such row
        self._source = source
        self._file = file

    def reject(self, row: int, problem: RowProblem) -> None:
        """Set a row aside."""
        self.rejected += 1
        kind = self._kinds.get((problem.field, problem.problem))
        if kind is not None:
            kind[0] += 1
        elif len(self._kinds) < _KINDS:
            self._kinds[problem.field, problem.problem] = [1, row]
        self._write(row, problem, row_kept=False)

    def reject_all(self, problems: Iterable[tuple[int, RowProblem]]) -> None:
        """Set rows aside."""
        for row, problem in problems:
            self.reject(row, problem)

    def supersede(self, row: int, problem: RowProblem) -> None:
        """Report a row that a later row of the same file overrules."""
        self.superseded += 1
        self._write(row, problem, row_kept=False)

    def leave_out(self, row: int, problem: RowProblem) -> None:
        """Report a value that is left out of a row that goes in."""
        key = (problem.field, problem.problem)
        if known := self._left_out.get(key):
            self._left_out[key] = replace(known, count=known.count + 1)
        elif len(self._left_out) < _KINDS:
            self._left_out[key] = LeftOut(*key, 1, row, problem.value)
        self._rows_without[problem.field] += self._last_without.get(problem.field) != row
        self._last_without[problem.field] = row
        self._write(row, problem, row_kept=True)

    def note(self, text: str, count: int = 1) -> None:
        """Count something that needs no row number."""
        if count and (text in self.notes or len(self.notes) < _KINDS):
            self.notes[text] += count

    def note_all(self, notes: Mapping[str, int]) -> None:
        """Count several such things."""
        for text, count in notes.items():
            self.note(text, count)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(sorted(self._left_out.values(), key=lambda entry: -entry.count))

    def flush(self) -> None:
        """Make the file complete for whoever reads it now."""
        self._file.flush()

    def check(self, max_bad_share: float) -> None:
        """Judge the whole file, now that all of it is read.

        Raises TooManyBadRowsError where nothing is usable, or at least 20 rows and more than the share are bad. Warns
        of each field that as many rows, or more than half of them, went in without: its column may be the wrong one.
        """
        too_many = self.rejected >= MIN_BAD_ROWS and self.rejected > max_bad_share * self.rows
        if too_many or self.rejected == self.rows:
            kinds = sorted(self._kinds.items(), key=lambda entry: -entry[1][0])[:3]
            reasons = "; ".join(f"{_label(*kind)} ({count}, first in row {row})" for kind, (count, row) in kinds)
            raise TooManyBadRowsError(
                f"{self._source}: {self.rejected} of {self.rows} rows are bad (allowed: {max_bad_share:.3g} of them), "
                f"nothing was imported: {reasons}"
            )
        for field, count in self._rows_without.items():
            if count > self.rows / 2 or (count >= MIN_BAD_ROWS and count > max_bad_share * self.rows):
                self.warnings.append(
                    f"{count} of {self.rows} rows went in without '{field}', which could not be read: does the mapping "
                    "name the right column for it?"
                )

    def _write(self, row: int, problem: RowProblem, row_kept: bool) -> None:
        rejection = Rejection(self._source.name, row, problem.field, problem.problem, problem.value, row_kept)
        if len(self.first) < _FIRST:
            self.first.append(rejection)
        self._file.write(json.dumps(asdict(rejection)) + "\n")


def _label(field: str, problem: str) -> str:
    return f"field '{field}': {problem}" if field else problem
