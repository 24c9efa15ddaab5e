"""A file that is everything: what it lacks is retired, nothing by mistake, and what comes back is sold again."""

from pathlib import Path
from typing import Any

import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.retirement import TooManyRetiredError
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import SMALL
from tests.datasets.importing.import_files import tree, write_jsonl


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"i{number:02d}", "title": f"t{number}", "price": 1 + number} for number in numbers]


def bring(workspace: Workspace, entries: list[dict[str, Any]], max_retired: float | None = None) -> ImportReport:
    return import_catalogue(
        write_jsonl(workspace.root.parent / "p.jsonl", entries), SMALL, workspace, max_retired=max_retired
    )


def ids(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Of what is sold, and of what was."""
    tables = workspace.items(), workspace.retired_items()
    return tuple(table.collect()["item_id"].to_list() for table in tables)  # type: ignore[return-value]


def test_items_that_a_part_lacks_are_counted_and_stay(workspace: Workspace) -> None:
    bring(workspace, rows(*range(10)))

    report = bring(workspace, rows(1, 2, 10))

    assert (report.lacking, report.retired, report.added) == (8, 0, 1)
    assert len(ids(workspace)[0]) == 11


def test_items_that_everything_lacks_are_retired_once_and_kept(workspace: Workspace) -> None:
    bring(workspace, rows(*range(10)))
    before = workspace.items().collect().rows_by_key("item_id", named=True, unique=True)

    report = bring(workspace, rows(*range(2, 11)), max_retired=0.2)
    after = tree(workspace.root)
    again = bring(workspace, rows(*range(2, 11)), max_retired=0.2)

    assert (report.lacking, report.retired, report.added, report.unchanged) == (2, 2, 1, 8)
    assert ids(workspace) == ([f"i{number:02d}" for number in range(2, 11)], ["i00", "i01"])
    assert workspace.retired_items().collect().row(0, named=True)["title"] == before["i00"]["title"]
    assert (again.lacking, again.retired) == (0, 0)
    assert tree(workspace.root) == after
    assert len(workspace.all_items().collect()) == 11


@pytest.mark.parametrize("max_retired", [None, 0.5])
def test_item_that_comes_back_is_sold_again(workspace: Workspace, max_retired: float | None) -> None:
    bring(workspace, rows(*range(10)))
    bring(workspace, rows(*range(8)), max_retired=0.5)

    report = bring(workspace, rows(*range(9)), max_retired)

    assert (report.returned, report.added) == (1, 1)
    assert ids(workspace) == ([f"i{number:02d}" for number in range(9)], ["i09"])


def test_too_many_at_once_are_refused_and_nothing_changes(workspace: Workspace) -> None:
    bring(workspace, rows(*range(10)))
    before = tree(workspace.root)

    with pytest.raises(TooManyRetiredError, match=r"lacks 3 of 10 items, .* --max-retired 0\.3"):
        bring(workspace, rows(*range(3, 12)), max_retired=0.2)

    assert tree(workspace.root) == before
    assert bring(workspace, rows(*range(3, 12)), max_retired=0.31).retired == 3


def test_rejected_row_does_not_retire_its_item(workspace: Workspace) -> None:
    bring(workspace, rows(*range(10)))
    bad: list[dict[str, Any]] = [
        {"id": "i00", "price": 1},
        {"id": "i01", "title": "N/A"},
        {"id": "i02", "title": "\u0007"},
    ]
    priceless = {"id": "i03", "title": "t3", "price": "dear"}

    report = bring(workspace, [*rows(*range(4, 9)), *bad, priceless], max_retired=0.2)

    assert (report.rejected, report.updated, report.retired) == (3, 1, 1)
    assert ids(workspace)[1] == ["i09"]


def test_row_that_cannot_be_read_spares_the_items_that_it_names(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, rows(*range(10)))
    (tmp_path / "p.csv").write_text(
        "id,title,price\n" + "".join(f"i{number:02d},t,1\n" for number in range(8)) + "i08,t,1,2,3\n"
    )

    report = import_catalogue(tmp_path / "p.csv", SMALL, workspace, max_retired=0.2)

    assert (report.rejected, report.lacking, report.retired) == (1, 1, 1)
    assert ids(workspace)[1] == ["i09"]
