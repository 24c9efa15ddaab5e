"""Files are the old ones or the new ones: after a failure, after a kill, and with several writers at once."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shopfuse.core import atomic_files
from shopfuse.core.atomic_files import append_line, atomic_file, atomic_folder, finish_commit, staged_files, write_text

KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from shopfuse.core.atomic_files import atomic_file, atomic_folder, staged_files
with {writer}(Path(sys.argv[1])) as place:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_it_writes(writer: str, target: Path) -> None:
    write = "place.write_text('half')" if writer == "atomic_file" else "(place / 'a').write_text('half')"
    program = KILLED_WRITER.format(writer=writer, write=write)

    ended = subprocess.run([sys.executable, "-c", program, str(target)], check=False, timeout=60)

    assert ended.returncode == -signal.SIGKILL


def test_failed_write_keeps_the_old_file_and_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError

    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    killed_while_it_writes("atomic_file", path)

    assert path.read_text() == "old"


def test_file_appears_with_its_folder_and_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = tmp_path / "deep" / "down" / "a.txt"

    with atomic_file(path) as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)  # as safetensors does

    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    with atomic_file(path) as first, atomic_file(path) as second:
        first.write_text("first")
        second.write_text("second")

    assert path.read_text() == "first"  # whose turn ended last
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_file_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(atomic_files, "sync", flushed.append)

    write_text(tmp_path / "a.txt", "new", durable)

    assert (tmp_path / "a.txt").read_text() == "new"
    assert (len(flushed), flushed[-1:]) == ((2, [tmp_path]) if durable else (0, []))


def test_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    for content in ("old", "new"):
        with atomic_folder(folder) as staged:
            (staged / content).write_text(content)

    assert os.listdir(folder) == ["new"]
    assert os.listdir(tmp_path) == ["r1"]


def test_killed_writer_leaves_the_old_folder_and_its_rest_goes_at_the_next_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    with atomic_folder(folder) as staged:
        (staged / "old").write_text("old")

    killed_while_it_writes("atomic_folder", folder)

    assert os.listdir(folder) == ["old"]
    with atomic_folder(folder) as staged:
        assert os.listdir(staged) == []
    assert os.listdir(tmp_path) == ["r1"]


def test_folder_whose_replacement_fails_or_is_cut_short_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    with atomic_folder(folder) as staged:
        (staged / "old").write_text("old")
    folder.rename(
        tmp_path / f".earlier-r1.{os.getpid()}"
    )  # where a crash leaves it, just before the new one takes the name

    with pytest.raises(OSError), atomic_folder(folder) as staged:
        assert os.listdir(folder) == ["old"]
        staged.rmdir()  # so that there is nothing to rename

    assert os.listdir(folder) == ["old"]
    assert os.listdir(tmp_path) == ["r1"]


def test_what_is_left_of_a_folder_goes_to_none_of_a_shorter_name(tmp_path: Path) -> None:
    left = tmp_path / f".earlier-r1.old.{os.getpid()}"
    left.mkdir()

    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "r1"):
        raise RuntimeError

    assert list(tmp_path.iterdir()) == [left]


def test_of_two_writers_of_a_folder_each_writes_its_own_and_the_last_one_wins(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        with atomic_folder(folder) as staged:
            (staged / "ours").write_text("whole")
        assert os.listdir(folder) == ["ours"]

        other.communicate("go on\n")

    assert other.returncode == 0
    assert sorted(os.listdir(folder)) == ["a", "b"]
    assert os.listdir(tmp_path) == ["r1"]


OTHER_WRITER = """
import sys
from pathlib import Path
from shopfuse.core.atomic_files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as staged:
    (staged / "a").write_text("")
    print("writing", flush=True)
    sys.stdin.readline()
    (staged / "b").write_text("")
"""


def test_staged_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_files(tmp_path) as staging:
        (staging / "a").write_text("new")
        raise RuntimeError
    assert os.listdir(tmp_path) == []

    with staged_files(tmp_path) as staging:
        (staging / "a").write_text("new")
        (staging / "b").write_text("new")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_killed_writer_leaves_the_old_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    killed_while_it_writes("staged_files", tmp_path)
    finish_commit(tmp_path)

    assert (tmp_path / "a").read_text() == "old"


def test_commit_cut_short_by_a_crash_is_finished_later(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")  # the crash came after the first of two moves
    (tmp_path / "b").write_text("old")
    (tmp_path / ".commit").mkdir()
    (tmp_path / ".commit" / "b").write_text("new")

    finish_commit(tmp_path)

    assert (tmp_path / "b").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_line_after_one_that_was_cut_short_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    append_line(path, b"first")
    path.write_bytes(path.read_bytes() + b"cut sho")

    append_line(path, b"third")

    assert path.read_bytes() == b"first\ncut sho\nthird\n"
