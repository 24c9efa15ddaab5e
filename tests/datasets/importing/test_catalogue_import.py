"""A catalogue import changes all or nothing, gives the same bytes again, and joins what was there."""

import subprocess
import sys
from pathlib import Path

import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing import image_runs, source_rows, table_merge
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.report import TooManyBadRowsError
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock
from tests.datasets.importing.catalogue_source import FULL_ROW, MAPPING, SMALL, image
from tests.datasets.importing.import_files import read_jsonl, tree, write_jsonl


def test_same_import_twice_changes_no_byte(tmp_path: Path, workspace: Workspace) -> None:
    image(tmp_path / "pics" / "a.png")
    rows = [FULL_ROW | {"id": n, "image": "pics/a.png"} for n in range(50)]
    file = write_jsonl(tmp_path / "p.jsonl", [*rows, {"id": "bad"}])

    first = import_catalogue(file, MAPPING, workspace)
    before = tree(workspace.root)
    second = import_catalogue(file, MAPPING, workspace)

    assert (first.added, first.updated, first.unchanged, first.images) == (50, 0, 0, 50)
    assert (second.added, second.updated, second.unchanged, second.images) == (0, 0, 50, 50)
    assert tree(workspace.root) == before
    assert set(before) == {
        "shop.toml",
        "catalogue/items.parquet",
        "catalogue/images.parquet",
        "catalogue/rejects.jsonl",
    }


def test_same_rows_into_two_workspaces_give_the_same_bytes(tmp_path: Path, workspace: Workspace) -> None:
    other = Workspace.create(tmp_path / "other")
    rows = [FULL_ROW | {"id": n} for n in range(50)]

    import_catalogue(write_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)
    import_catalogue(write_jsonl(tmp_path / "q.jsonl", rows[::-1]), MAPPING, other)

    assert workspace.paths.items.read_bytes() == other.paths.items.read_bytes()


def test_second_file_adds_replaces_and_leaves_the_rest(tmp_path: Path, workspace: Workspace) -> None:
    old = [{"id": "b", "title": "old", "attr_x": "1"}, {"id": "c", "title": "kept", "attr_x": "1"}]
    new = [{"id": "b", "title": "old", "attr_x": "2"}, {"id": "a", "title": "new"}]

    import_catalogue(write_jsonl(tmp_path / "p.jsonl", old), MAPPING, workspace)
    report = import_catalogue(write_jsonl(tmp_path / "q.jsonl", new), MAPPING, workspace)

    items = workspace.items().collect()
    assert (report.added, report.updated, report.unchanged) == (1, 1, 0)
    assert items["item_id"].to_list() == ["a", "b", "c"]
    assert items["attributes"].to_list()[1] == [{"name": "x", "value": "2"}]


def test_later_row_of_the_same_id_wins_and_identical_ones_are_silent(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"id": "a", "title": "first"}, {"id": "b", "title": "same"}, {"id": "b", "title": "same"}]
    file = write_jsonl(tmp_path / "p.jsonl", [*rows, {"id": "a", "title": "last"}])

    report = import_catalogue(file, MAPPING, workspace)

    (rejection,) = read_jsonl(workspace.paths.catalogue_rejects)
    assert (rejection["row"], rejection["field"], rejection["value"]) == (1, "id", "a")
    assert rejection["problem"] == "row 4 has the same id and other content; it wins"
    assert (report.superseded, report.rejected, report.added) == (1, 0, 2)
    assert workspace.items().collect()["title"].to_list() == ["last", "same"]


def test_too_many_bad_rows_stop_the_import_and_nothing_changes(tmp_path: Path, workspace: Workspace) -> None:
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}]), MAPPING, workspace)
    before = tree(workspace.root)
    rows = [{"id": n, "title": "t"} for n in range(300)] + [{"id": "b\t1", "title": "t"}] * 20

    with pytest.raises(TooManyBadRowsError) as caught:
        import_catalogue(write_jsonl(tmp_path / "q.jsonl", rows), MAPPING, workspace)

    assert "q.jsonl: 20 of 320 rows are bad" in str(caught.value)
    assert "field 'id': expected at most 128 bytes of UTF-8 without control characters (20, first in row 301)" in str(
        caught.value
    )
    assert tree(workspace.root) == before


def test_a_few_bad_rows_never_stop_a_small_import_unless_no_row_is_good(tmp_path: Path, workspace: Workspace) -> None:
    bad = {"id": "b", "title": ""}

    report = import_catalogue(
        write_jsonl(tmp_path / "p.jsonl", [bad] * 19 + [{"id": "a", "title": "t"}]), MAPPING, workspace
    )

    assert (report.rejected, report.added) == (19, 1)
    with pytest.raises(TooManyBadRowsError, match="2 of 2 rows are bad"):
        import_catalogue(write_jsonl(tmp_path / "q.jsonl", [bad] * 2), MAPPING, workspace)


def test_allowed_share_of_bad_rows_is_an_option(tmp_path: Path, workspace: Workspace) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", [{"id": ""}] * 60 + [{"id": n, "title": "t"} for n in range(40)])

    assert import_catalogue(file, MAPPING, workspace, max_bad_share=0.6).added == 40
    with pytest.raises(TooManyBadRowsError):
        import_catalogue(file, MAPPING, workspace, max_bad_share=0.59)
    with pytest.raises(ShopfuseError, match="max_bad_share: expected a share from 0 to 1, got 5"):
        import_catalogue(file, MAPPING, workspace, max_bad_share=5)


def test_many_batches_and_ranges_merge_as_one(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_rows, "BATCH_ROWS", 7)
    monkeypatch.setattr("shopfuse.datasets.importing.import_run.BATCH_ROWS", 7)
    monkeypatch.setattr(table_merge, "RANGE_ROWS", 5)
    monkeypatch.setattr(image_runs, "RUN_BYTES", 200)
    image(tmp_path / "a.png")
    rows = [{"id": n * 37 % 100, "title": f"t{n}", "image": "a.png"} for n in range(150)]
    stages: list[tuple[str, int, int]] = []

    report = import_catalogue(
        write_jsonl(tmp_path / "p.jsonl", rows),
        MAPPING,
        workspace,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )

    items = workspace.items().collect()
    expected = {str(n * 37 % 100): f"t{n}" for n in range(150)}
    assert dict(items.select("item_id", "title").rows()) == expected
    assert items["item_id"].to_list() == sorted(expected)
    assert workspace.images().collect()["item_id"].to_list() == sorted(expected)
    assert (report.added, report.superseded, report.images) == (100, 50, 100)
    assert {stage for stage, _, _ in stages} == {"read", "merge"}
    assert all(0 <= done <= total for _, done, total in stages)


@pytest.mark.parametrize("stage", ["read", "merge"])
def test_killed_import_leaves_the_last_good_catalogue(tmp_path: Path, workspace: Workspace, stage: str) -> None:
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}]), SMALL, workspace)
    before = tree(workspace.paths.catalogue)
    write_jsonl(tmp_path / "q.jsonl", [{"id": "b", "title": "t", "price": 1}])
    code = f"""
import os
from pathlib import Path
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import CatalogueMapping, Source
from shopfuse.datasets.workspace import Workspace as W
mapping = CatalogueMapping({{"id": Source(("id",)), "title": Source(("title",))}})
die = lambda stage, done, total: os._exit(9) if stage == {stage!r} else None
shop = W.open(Path({str(workspace.root)!r}))
import_catalogue(Path({str(tmp_path / "q.jsonl")!r}), mapping, shop, progress=die)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert {name: digest for name, digest in tree(workspace.paths.catalogue).items() if name[0] != "."} == before

    report = import_catalogue(tmp_path / "q.jsonl", SMALL, workspace)

    assert report.added == 1
    assert workspace.items().collect()["item_id"].to_list() == ["a", "b"]
    assert set(tree(workspace.root)) == {"shop.toml", "catalogue/items.parquet", "catalogue/rejects.jsonl"}


def test_import_waits_for_nobody_when_another_one_runs(tmp_path: Path, workspace: Workspace) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}])

    with workspace_lock(workspace.root), pytest.raises(WorkspaceLockedError, match="is writing to this workspace"):
        import_catalogue(file, SMALL, workspace)
