"""The LMDB store: the contract of every store, and what is particular to a file that processes share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from shopfuse.ranking.user_state import UNKNOWN_USER
from shopfuse.state.lmdb_store import FORMAT_KEY, LmdbStore
from shopfuse.state.store import StoreError
from tests.state.contract import LAMP, FeatureStoreContract, item_rows
from tests.user_states import user_state

READ_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from shopfuse.state.lmdb_store import LmdbStore
with LmdbStore.open(Path(sys.argv[1])) as store:
    print(store.items([b"a"])[0]["price"][0], flush=True)
    sys.stdin.readline()
    print(store.items([b"a"])[0]["price"][0], flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.lmdb"


@pytest.fixture
def store(path: Path) -> Iterator[LmdbStore]:
    with LmdbStore.open(path, readonly=False) as store:
        yield store


class TestLmdbStore(FeatureStoreContract):
    """The contract, held by the fixture above."""


def test_what_was_written_outlives_the_process_and_a_read_only_store_refuses_writes(path: Path) -> None:
    with LmdbStore.open(path, readonly=False) as store:
        store.put_items([b"a"], item_rows(4))
        store.put_users({"u": user_state([("a", "view_item", 1.0)])})

    with LmdbStore.open(path) as store:
        assert store.items([b"a"])[0]["price"].tolist() == [4]
        assert store.users(["u"])[0].present
        with pytest.raises(StoreError, match=r"store\.lmdb"):
            store.put_items([b"a"], item_rows(5))


def test_a_reading_process_sees_what_another_one_writes_meanwhile(path: Path) -> None:
    with LmdbStore.open(path, readonly=False) as store:
        store.put_items([b"a"], item_rows(1))
        reader = subprocess.Popen(
            [sys.executable, "-c", READ_IN_ANOTHER_PROCESS, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert reader.stdout is not None
        before = reader.stdout.readline()
        store.put_items([b"a"], item_rows(2))
        after, _ = reader.communicate("\n", timeout=30)

    assert (before, after) == ("1.0\n", "2.0\n")


def test_damaged_rows_count_as_missing(path: Path) -> None:
    with LmdbStore.open(path, readonly=False) as store:
        store.put_items([b"a", b"b"], item_rows(1, 2))
        store.put_users({"u": user_state([("a", "view_item", 1.0)])})
        store.put_display({b"a": LAMP})
    overwrite(path, b"items", b"a", b"too short")
    overwrite(path, b"users", b"u", b"\x01too short")
    overwrite(path, b"display", b"a", b'{"title": "no category"}')

    with LmdbStore.open(path) as store:
        assert store.items([b"a", b"b"])[1].tolist() == [False, True]
        assert store.users(["u"]) == [UNKNOWN_USER]
        assert store.display([b"a"]) == [None]


def overwrite(path: Path, table: bytes | None, key: bytes, value: bytes) -> None:
    with lmdb.open(str(path), subdir=False, max_dbs=3) as environment:
        handle = None if table is None else environment.open_db(table)
        with environment.begin(handle, write=True) as transaction:
            transaction.put(key, value)


def test_a_store_of_another_format_is_refused(path: Path) -> None:
    LmdbStore.open(path, readonly=False).close()
    overwrite(path, None, FORMAT_KEY, b"shopfuse-0")

    for readonly in (True, False):
        with pytest.raises(StoreError, match=r"store\.lmdb: feature store of format b'shopfuse-0'"):
            LmdbStore.open(path, readonly=readonly)


def test_a_missing_store_is_named_and_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(StoreError, match=r"store\.lmdb: no feature store"):
        LmdbStore.open(path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_file_that_is_no_store_is_named(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"store\.lmdb"):
        LmdbStore.open(path)


def test_a_refused_store_is_closed_again(path: Path) -> None:
    LmdbStore.open(path, readonly=False).close()
    overwrite(path, None, FORMAT_KEY, b"other")
    with pytest.raises(StoreError):
        LmdbStore.open(path)

    overwrite(path, None, FORMAT_KEY, b"shopfuse-1")  # LMDB would refuse to open a file twice in one process
    LmdbStore.open(path).close()
