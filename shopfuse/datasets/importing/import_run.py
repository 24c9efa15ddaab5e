"""What every import does around its rows: lock the workspace, check the file against the mapping, log what is wrong.

It knows nothing of what the rows hold.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from shopfuse.core.atomic_files import finish_commit
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import REJECTS
from shopfuse.datasets.importing.mapping import CatalogueMapping, EventMapping, ReviewMapping, Source
from shopfuse.datasets.importing.readers.tables import open_table
from shopfuse.datasets.importing.report import ImportReport, RejectLog
from shopfuse.datasets.importing.retirement import NOTHING_RETIRED, Retirement
from shopfuse.datasets.importing.row_merge import MergeCounts, Merged
from shopfuse.datasets.importing.rows.nested_rows import plain_rows
from shopfuse.datasets.importing.rows.variant_rows import NO_RULES, variant_rows
from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError, open_source
from shopfuse.datasets.importing.source_rows import BATCH_ROWS, NumberedRow, Row, RowProblem
from shopfuse.datasets.importing.values.field_values import getter
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock

# Keys of mappings without which a row is nothing.
NEEDED: Final = ("id", "title", "event_name", "timestamp", "item_id", "user_id", "session_id", "rating", "text")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import under way: the file, a scratch folder that goes away with it, and the log of what was wrong."""

    source: SourceFile
    workspace: Workspace
    scratch: Path
    log: RejectLog
    progress: Progress
    started: float

    def rows(
        self, mapping: CatalogueMapping | EventMapping | ReviewMapping, wanted: Callable[[str], bool]
    ) -> Iterator[NumberedRow]:
        """The rows of the file; SourceFileError when the file lacks a column that the mapping names."""
        table = open_table(self.source, mapping.file, self.scratch)
        self.log.read_as = table.described
        if table.guessed:
            self.log.warnings.append(
                f"read as {table.encoding}, which is a guess: the mapping's 'encoding' can name another"
            )
        if table.columns is not None:
            _require_columns(self.source, table.columns, mapping.sources)
        rules = mapping.rows if isinstance(mapping, CatalogueMapping) else NO_RULES
        needed = wanted if rules == NO_RULES else lambda _name: True

        def read() -> Iterator[NumberedRow]:
            return table.rows(needed, self.scratch, self.progress)

        rows = read() if rules == NO_RULES else variant_rows(read, rules, self.scratch, self.log.note)
        plain = plain_rows(rows, mapping.sources)
        return plain if mapping.preset else self._watched(plain, mapping.sources)

    def _watched(self, rows: Iterator[NumberedRow], sources: Mapping[str, Source]) -> Iterator[NumberedRow]:
        """The rows as they are; afterwards a warning for each field of the mapping that none of them had."""
        unseen = {(key, field): getter(field) for key, source in sources.items() for field in source.fields}
        count = 0
        for number, row in rows:
            count += 1
            if unseen and isinstance(row, dict):
                for name in [name for name, get in unseen.items() if get(row) not in (None, "", [])]:
                    del unseen[name]
            yield number, row
        if count:
            for key, field in unseen:
                self.log.warnings.append(f"{key}: field '{field}' in none of {count} rows")

    def good_rows(
        self, rows: Iterator[NumberedRow], read: Callable[[Row | RowProblem], T | RowProblem]
    ) -> Iterator[tuple[int, T]]:
        """What `read` makes of the rows, with their numbers; bad ones go to the log."""
        for number, row in rows:
            self.log.rows += 1
            value = read(row)
            if isinstance(value, RowProblem):
                self.log.reject(number, value)
            else:
                yield number, value

    def unknown_items(self, item_ids: pl.Series) -> int:
        """How many of these different ids the catalogue does not hold."""
        if not self.workspace.has_items:
            return len(item_ids)
        known = self.workspace.items().select("item_id")
        return pl.LazyFrame({"item_id": item_ids}).join(known, on="item_id", how="anti").collect().height

    def log_superseded(self, merge: Merged, key: str) -> None:
        """Report the rows that later rows of the same file overrule."""
        for value, row, winner in merge.superseded.iter_rows():
            problem = f"row {winner} has the same {key} and other content; it wins"
            self.log.supersede(row, RowProblem(key, problem, value))

    def report(
        self,
        counts: MergeCounts,
        rejects: Path,
        images: int = 0,
        unknown_items: int = 0,
        retirement: Retirement = NOTHING_RETIRED,
    ) -> ImportReport:
        """What the import did, once all is in place."""
        return ImportReport(
            file=str(self.source.path),
            rows=self.log.rows,
            added=counts.added,
            updated=counts.updated,
            unchanged=counts.unchanged,
            rejected=self.log.rejected,
            superseded=self.log.superseded,
            repeated=counts.repeated,
            images=images,
            unknown_items=unknown_items,
            left_out=self.log.left_out,
            lacking=retirement.lacking,
            retired=retirement.retired,
            returned=retirement.returned,
            read_as=self.log.read_as,
            warnings=tuple(self.log.warnings),
            notes=dict(self.log.notes),
            first_rejections=tuple(self.log.first),
            rejects_path=rejects,
            seconds=time.perf_counter() - self.started,
        )

    def copy_rejects(self, folder: Path) -> None:
        """Put the rejects file, complete by now, beside the tables."""
        self.log.flush()
        shutil.copyfile(self.scratch / REJECTS, folder / REJECTS)


@contextmanager
def import_run(
    file: Path, workspace: Workspace, target: Path, max_bad_share: float, progress: Progress
) -> Iterator[ImportRun]:
    """Hold the workspace and `target`, the folder to be filled, while an import runs; leave no scratch files behind."""
    if not 0 <= max_bad_share <= 1:
        raise ShopfuseError(f"max_bad_share: expected a share from 0 to 1, got {max_bad_share}")
    started = time.perf_counter()
    source = open_source(file)
    with workspace_lock(workspace.root):
        finish_commit(target)
        scratch = workspace.paths.import_scratch
        shutil.rmtree(scratch, ignore_errors=True)  # of an import that was killed
        scratch.mkdir()
        try:
            with (scratch / REJECTS).open("w", encoding="utf-8") as rejects:
                yield ImportRun(source, workspace, scratch, RejectLog(file, rejects), progress, started)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def batches(rows: Iterator[T]) -> Iterator[Iterator[T]]:
    """Batches of at most BATCH_ROWS rows, each to be read to its end before the next; no row is held here."""
    for first in rows:
        yield chain([first], islice(rows, BATCH_ROWS - 1))


def wanted_roots(sources: Iterable[Source], *more: str | None) -> Callable[[str], bool]:
    """Whether a column of a Parquet file feeds a source, by its name or as the object that holds the field."""
    fields = [field for source in sources for field in source.fields] + [field for field in more if field]
    roots = {*fields, *(field.split(".")[0] for field in fields)}
    return lambda name: name in roots


def _require_columns(source: SourceFile, names: list[str], sources: Mapping[str, Source]) -> None:
    """The columns that no row can do without; others that are missing are a warning after the last row."""
    for key, field in ((key, field) for key, entry in sources.items() for field in entry.fields):
        if key in NEEDED and field[0] != "@" and field not in names and field.split(".")[0] not in names:
            problem = f"the mapping reads '{key}' from '{field}', but the columns are {', '.join(names)[:300]}"
            raise SourceFileError(f"{source.path}: {problem}")
