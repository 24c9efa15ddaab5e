"""How commands talk: tables and bars for people, one JSON document on the last line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress

PIPE_WIDTH = 140  # where stdout is no terminal there is no width to fit

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def report_errors(program: Callable[[], None]) -> None:
    """Runs it: an error that a user can repair is one line on stderr and exit code 1; a bug keeps its traceback."""
    try:
        program()
    except ShopfuseError as error:
        err.print(f"error: {' '.join(str(error).split())}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Draws one bar per stage on stderr; where stderr is no terminal, one line per finished stage."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=err, disable=not err.is_terminal) as bars:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
                if not err.is_terminal:
                    err.print(f"  {stage} ...")
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; numbers are right-aligned."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row))
    out.print(table)


def print_json(document: Mapping[str, object]) -> None:
    """One line, last on stdout, whatever the width of the terminal."""
    print(json.dumps(document, ensure_ascii=False, sort_keys=True), flush=True)
