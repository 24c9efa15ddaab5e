"""Import of a catalogue: a shop's export of products becomes items.parquet and images.parquet of a workspace.

Rows are read in batches and spilled as sorted runs, then merged with the catalogue one range of ids at a time, so
memory does not grow with the file. Nothing in the workspace changes before all of it has been read and merged.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from shopfuse.core.atomic_files import staged_files
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.image_runs import ImageRuns, merge_images
from shopfuse.datasets.importing.import_run import ImportRun, batches, import_run, wanted_roots
from shopfuse.datasets.importing.item_rows import ItemReader, ItemValues, item_batch
from shopfuse.datasets.importing.mapping import CatalogueMapping
from shopfuse.datasets.importing.product_groups import likely_variants, take_groups
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.retirement import BadRows, retire
from shopfuse.datasets.importing.sorted_runs import write_run
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem
from shopfuse.datasets.importing.table_merge import KeyedTable, merge_table
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace


def import_catalogue(
    file: Path,
    mapping: CatalogueMapping,
    workspace: Workspace,
    *,
    max_bad_share: float = 0.05,
    max_retired: float | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Bring the products of `file` into the workspace: new ids are added, known ids replaced, others left alone.

    With `max_retired`, a share, the file is everything: items that it lacks are retired, unless they are more than
    that. Raises SourceFileError, TooManyBadRowsError, TooManyRetiredError or WorkspaceLockedError; the workspace is
    then as it was.
    """
    with import_run(file, workspace, workspace.paths.catalogue, max_bad_share, progress) as run:
        images = ImageRuns(run.scratch, file.parent)
        runs: list[Path] = []
        reader, bad = ItemReader(mapping, datetime.now(UTC)), BadRows(mapping.sources["id"])
        for batch in batches(run.rows(mapping, _wanted(mapping, reader))):
            table = images.collect(_grouped(_read_batch(batch, reader, bad, run), mapping, run), run.log)
            runs.append(write_run(run.scratch, f"items-{len(runs):05d}", table, "item_id"))
        if not runs:
            raise SourceFileError(f"{file}: the file has no rows")
        reader.prices.settle(runs, "price", run.log)
        run.log.note_all(reader.notes)
        run.log.check(max_bad_share)
        images.flush()
        with staged_files(workspace.paths.catalogue) as staging:
            items = KeyedTable(workspace.paths.items, ITEM_SCHEMA, "item_id", "id")
            counts, winners = merge_table(run, items, runs, staging / items.path.name)
            stored = merge_images(workspace.paths.images, images, winners, staging / workspace.paths.images.name)
            retirement = retire(workspace, staging, winners["item_id"], bad, max_retired)
            written = staging / items.path.name
            if variants := likely_variants(pl.scan_parquet(written if written.exists() else items.path)):
                run.log.note(variants.note, variants.items)
            run.copy_rejects(staging)
        return run.report(counts, workspace.paths.catalogue_rejects, images=stored, retirement=retirement)


def _wanted(mapping: CatalogueMapping, reader: ItemReader) -> Callable[[str], bool]:
    mapped = wanted_roots(mapping.sources.values())
    return lambda name: mapped(name) or reader.attribute_name(name) is not None


def _grouped(items: pl.DataFrame, mapping: CatalogueMapping, run: ImportRun) -> pl.DataFrame:
    """The items by the groups that they have as an attribute, where the mapping names no group_id."""
    if "group_id" in mapping.sources:
        return items
    grouped, taken = take_groups(items)
    for name, count in taken.items():
        run.log.note(f"group_id taken from the attribute {name}, which the mapping does not call so", count)
    return grouped


def _read_batch(batch: Iterator[NumberedRow], reader: ItemReader, bad: BadRows, run: ImportRun) -> pl.DataFrame:
    """The good rows of a batch in stored form; bad ones go to the log."""
    values: list[tuple[Any, ...]] = []
    attributes: list[tuple[int, str, str]] = []

    def read(row: Row | RowProblem) -> ItemValues | RowProblem:
        item = reader.read(row)
        if isinstance(item, RowProblem):
            bad.add(row)
        return item

    for number, item in run.good_rows(batch, read):
        values.append((number, *item.values))
        attributes += [(number, name, value) for name, value in item.attributes]
        for problem in item.left_out:
            run.log.leave_out(number, problem)
    items = item_batch(values, attributes)
    run.log.reject_all(items.problems)
    nameless = {row for row, _ in items.problems}
    bad.ids.update(item_id for row, item_id, *_ in values if row in nameless)
    run.log.note_all(items.notes)
    return items.frame
