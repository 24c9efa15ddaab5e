"""What every reader of a file gives: numbered rows, each a dict or the reason why it cannot be read."""

from dataclasses import dataclass
from typing import Any, Final

BATCH_ROWS: Final = 25_000
REPORT_EVERY: Final = 4096  # rows between two calls of `progress`


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why one row, or one field of it, is not taken; `field` is empty where the whole row is meant."""

    field: str
    problem: str
    value: str = ""


Row = dict[str, Any]  # field name -> JSON-like value: the edge of the typed world
NumberedRow = tuple[int, "Row | RowProblem"]
