"""A workspace opens, refuses what is not one, and never shows half-written files."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.schema import EVENT_SCHEMA, IMAGE_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings, ShopSettingsError
from shopfuse.datasets.workspace import Workspace, WorkspaceError
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock


def test_created_workspace_opens_with_the_same_settings(tmp_path: Path) -> None:
    settings = ShopSettings(
        completion_min_users=7,
        name='Möbel "Haus"',
        fusion="vote",
        language="de",
        repeat_purchases="when_due",
        repeat_purchases_by_category={"Küche > Öle": "allow", "Lampen": "never"},
    )

    created = Workspace.create(tmp_path / "shop", settings)

    assert Workspace.open(tmp_path / "shop") == created
    assert created.settings == settings


def test_missing_folder_and_foreign_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no such folder"):
        Workspace.open(tmp_path / "nowhere")
    with pytest.raises(WorkspaceError, match="not a shopfuse workspace"):
        Workspace.open(tmp_path)


def test_create_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")

    with pytest.raises(WorkspaceError, match="not empty"):
        Workspace.create(tmp_path)
    with pytest.raises(WorkspaceError, match="in the way"):
        Workspace.create(tmp_path / "thesis.txt")


def test_a_disk_of_its_own_is_a_new_folder(tmp_path: Path) -> None:
    """Where a volume is mounted, its file system has a folder already."""
    (tmp_path / "lost+found").mkdir()

    assert Workspace.create(tmp_path).root == tmp_path


def test_create_refuses_an_existing_workspace_and_open_or_create_opens_it(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path / "shop")

    assert Workspace.open_or_create(tmp_path / "shop") == workspace
    with pytest.raises(WorkspaceError, match="already a workspace"):
        Workspace.create(tmp_path / "shop")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fusoin = 'vote'", "unknown setting 'fusoin' .known: name, text_encoder, image_encoder, fusion, language"),
        ("fusion = 'sum'", "setting 'fusion': expected one of auto, .*'sum'"),
        ("name = 3", "setting 'name': expected a non-empty text, got 3"),
        ("language = 'English'", "setting 'language'"),
        ("name = ", "not valid TOML"),
        ("repeat_purchases = 'often'", "setting 'repeat_purchases': expected one of auto, allow, when_due, never"),
        ("repeat_purchases_by_category = 'no'", r"expected a table \[repeat_purchases_by_category\], got 'no'"),
        ("[repeat_purchases_by_category]\n'Home > ' = 'never'", "a path such as 'Home > Light', got 'Home > '"),
        ("[repeat_purchases_by_category]\nHome = 'no'", r"'repeat_purchases_by_category.Home': expected .* got 'no'"),
        ("completion_min_users = 1", "setting 'completion_min_users': expected a whole number from 2 on, got 1"),
        ("completion_min_users = true", "setting 'completion_min_users': expected a whole number from 2 on, got True"),
        ("[repeat_purchases_by_category]\nHome = 7", r"'repeat_purchases_by_category.Home': expected .* got 7"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "shop.toml").write_text(text)

    with pytest.raises(ShopSettingsError, match=problem) as caught:
        Workspace.open(tmp_path)
    assert "shop.toml" in str(caught.value)


def test_empty_workspace_has_empty_tables_and_says_how_to_get_a_catalogue(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "shop")

    assert not workspace.has_events
    assert workspace.events().collect().schema == EVENT_SCHEMA
    assert workspace.images().collect().schema == IMAGE_SCHEMA
    with pytest.raises(WorkspaceError, match="shopfuse import catalog"):
        workspace.items()


def test_events_read_day_by_day(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "shop")
    for day in (2, 1):
        moment = datetime(2024, 5, day, 12, tzinfo=UTC)
        row = {"event_id": f"e{day}", "event_name": "view_item", "timestamp": moment, "user_id": "u", "session_id": "s"}
        write_parquet(workspace.paths.events_of(date(2024, 5, day)), pl.DataFrame([row], schema=EVENT_SCHEMA))

    events = workspace.events().collect()

    assert workspace.has_events
    assert events.schema == EVENT_SCHEMA
    assert events["event_id"].to_list() == ["e1", "e2"]


def test_opening_completes_an_import_that_died_in_its_commit(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "shop")
    (workspace.paths.catalogue / ".commit").mkdir(parents=True)
    (workspace.paths.catalogue / ".commit" / "rejects.jsonl").write_text("new")

    with workspace_lock(workspace.root):
        Workspace.open(workspace.root)
        assert not workspace.paths.catalogue_rejects.exists()
    Workspace.open(workspace.root)

    assert workspace.paths.catalogue_rejects.read_text() == "new"


def test_second_writer_is_refused_and_a_dead_writer_holds_nothing(tmp_path: Path) -> None:
    holder = "import pathlib,sys; from shopfuse.datasets.workspace_lock import workspace_lock as w\n"
    holder += "with w(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceLockedError, match=f"pid {process.pid}"), workspace_lock(tmp_path):
            pass
        process.kill()

    with workspace_lock(tmp_path):
        pass
