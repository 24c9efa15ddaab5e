"""The feature store in LMDB: many reading processes and one writing process on one machine, without a server.

A read is one transaction over a memory map: readers take no lock and see one moment of the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.features import ITEM_ROW, missing_item_row
from shopfuse.ranking.user_state import UNKNOWN_USER, UserState, pack_user, unpack_user
from shopfuse.state.store import Display, StoreError

FORMAT_KEY, FORMAT = b"format", b"shopfuse-1"
TABLES = (b"items", b"display", b"users")
MAP_BYTES = 128 << 30  # address space; the file grows with what it holds
MAX_READERS = 1024
MAX_KEY_BYTES = 511
DISPLAYS_KEPT = 20_000  # about 20 MB
MISSING_ITEM = missing_item_row().tobytes()


class LmdbStore:
    """Open once for each process, after forking. Use as a context manager, or call `close`."""

    def __init__(self, environment: Any, tables: dict[bytes, Any], path: Path) -> None:
        self._environment = environment
        self._tables = tables
        self._path = path

    @classmethod
    def open(cls, path: Path, readonly: bool = True) -> LmdbStore:
        """Opens the store, making it first where `readonly` is false. Raises StoreError naming the path."""
        if readonly and not path.exists():
            raise StoreError(f"{path}: no feature store")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _reported(path), ExitStack() as undo:
            environment = lmdb.open(
                str(path),
                MAP_BYTES,
                subdir=False,
                readonly=readonly,
                readahead=False,  # reads are scattered
                max_readers=MAX_READERS,
                max_dbs=len(TABLES),
            )
            undo.callback(environment.close)
            environment.reader_check()  # frees the slots of processes that were killed
            if not readonly:
                _make_tables(environment)
            tables = _open_tables(environment, path)
            undo.pop_all()
        return cls(environment, tables, path)

    def close(self) -> None:
        self._environment.close()

    def __enter__(self) -> LmdbStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def users(self, user_ids: Sequence[str]) -> list[UserState]:
        """One state for each id; UNKNOWN_USER where the store has none or a damaged one."""
        return [_user(packed) for packed in self._read(b"users", [user_id.encode() for user_id in user_ids])]

    def items(self, item_ids: Sequence[bytes]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """(ITEM_ROW [n], present [n]); missing_item_row() where the store has none or one of another size."""
        packed = self._read(b"items", item_ids)
        present = [row is not None and len(row) == ITEM_ROW.itemsize for row in packed]
        rows = [row if there and row else MISSING_ITEM for row, there in zip(packed, present, strict=True)]
        return np.frombuffer(b"".join(rows), ITEM_ROW), np.array(present, np.bool_)

    def display(self, item_ids: Sequence[bytes]) -> list[Display | None]:
        return [_display(packed) for packed in self._read(b"display", item_ids)]

    def put_users(self, users: Mapping[str, UserState]) -> None:
        self._write(b"users", ((user_id.encode(), pack_user(state)) for user_id, state in users.items()))

    def put_items(self, item_ids: Sequence[bytes], rows: NDArray[np.void]) -> None:
        if rows.dtype != ITEM_ROW or len(rows) != len(item_ids):
            raise StoreError(f"{self._path}: expected {len(item_ids)} item rows, got {len(rows)} of type {rows.dtype}")
        self._write(b"items", ((item_id, row.tobytes()) for item_id, row in zip(item_ids, rows, strict=True)))

    def put_display(self, displays: Mapping[bytes, Display]) -> None:
        self._write(
            b"display", ((item_id, json.dumps(asdict(display)).encode()) for item_id, display in displays.items())
        )

    def _read(self, table: bytes, keys: Sequence[bytes]) -> list[bytes | None]:
        with _reported(self._path), self._environment.begin(self._tables[table]) as transaction:
            return [transaction.get(key) if 0 < len(key) <= MAX_KEY_BYTES else None for key in keys]

    def _write(self, table: bytes, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """All or none, in place of what the store had under these ids."""
        with _reported(self._path), self._environment.begin(self._tables[table], write=True) as transaction:
            for key, value in rows:
                if not 0 < len(key) <= MAX_KEY_BYTES:
                    raise StoreError(
                        f"{self._path}: id {key[:80]!r} has {len(key)} bytes, expected 1 to {MAX_KEY_BYTES}"
                    )
                transaction.put(key, value)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except lmdb.Error as error:
        raise StoreError(f"{path}: feature store: {error}") from error


def _make_tables(environment: Any) -> None:
    """Gives a new store its tables and its format, in one transaction."""
    with environment.begin(write=True) as transaction:
        if environment.stat()["entries"] == 0:
            transaction.put(FORMAT_KEY, FORMAT)
            for name in TABLES:
                environment.open_db(name, txn=transaction)


def _open_tables(environment: Any, path: Path) -> dict[bytes, Any]:
    with environment.begin() as transaction:
        if (actual := transaction.get(FORMAT_KEY)) != FORMAT:
            raise StoreError(f"{path}: feature store of format {actual!r}, expected {FORMAT!r}")
    return {name: environment.open_db(name, create=False) for name in TABLES}


def _user(packed: bytes | None) -> UserState:
    if packed is None:
        return UNKNOWN_USER
    try:
        return unpack_user(packed)
    except ShopfuseError:
        return UNKNOWN_USER


@lru_cache(DISPLAYS_KEPT)
def _display(packed: bytes | None) -> Display | None:
    """None where the store has none or a damaged one.

    Kept by the packed bytes, so never stale: 100 items take 30 us instead of 350.
    """
    if packed is None:
        return None
    try:
        values = json.loads(packed)
        return Display(**{**values, "category": tuple(values["category"])})
    except (ValueError, KeyError, TypeError):
        return None
