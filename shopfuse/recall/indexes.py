"""All recall indexes of one release, opened together, and what an index file says of the channels that read it.

Which channels there are says the table in ranking/channels.py; recall/channels.py asks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import TABLE, Channel
from shopfuse.recall.contents import IndexContents
from shopfuse.recall.hits import Hits
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.query import Need, RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError

I = TypeVar("I", bound=Sized | None)  # noqa: E741  (an index; None where the shop has nothing for it)
Column = NDArray[np.float32]  # [c], NaN where an item has no score


@dataclass(frozen=True, slots=True)
class IndexFile(Generic[I]):
    """An index on disk. `open` raises ReleaseError naming the file that is missing or damaged."""

    name: str
    build: Callable[[ReleaseLayout, IndexContents], None]
    open: Callable[[ReleaseLayout], I]


@dataclass(frozen=True, slots=True)
class RecallChannel:
    """How a channel looks into the indexes. It applies to queries that bring all that it needs."""

    index: IndexFile[Any]  # opened for it; several channels may share one
    needs: tuple[Need, ...]
    score: Callable[[Scored], Column | None]  # of known candidates; None where it has nothing to say of the query
    search: Callable[[RecallIndexes, RecallQuery, int, Selection | None], Hits] | None = None  # None: it only scores

    def applies(self, query: RecallQuery) -> bool:
        return all(need.present(query) for need in self.needs)

    def without(self, query: RecallQuery) -> RecallQuery:
        """The query less what this channel needs, so that it does not apply."""
        for need in self.needs:
            query = need.without(query)
        return query


@dataclass(frozen=True, slots=True)
class RecallIndexes:
    items: ItemTable
    table: Sequence[Channel]
    channels: Mapping[str, RecallChannel]  # of the table, by name
    opened: Mapping[str, Sized | None]  # by the name of the index file

    @classmethod
    def open(cls, layout: ReleaseLayout, table: Sequence[Channel] = TABLE) -> RecallIndexes:
        """Raises ReleaseError naming the file that is missing, damaged, or of another number of items."""
        channels = recall_channels(table)
        items = ItemTable.open(layout.items)
        opened = {file.name: file.open(layout) for file in index_files(channels)}
        for name, index in opened.items():
            if index is not None and len(index) != len(items):
                raise ReleaseError(f"{layout.indexes}: {name} index of {len(index)} items, expected {len(items)}")
        return cls(items, table, channels, opened)

    def __getitem__(self, file: IndexFile[I]) -> I:
        return cast(I, self.opened[file.name])

    def with_index(self, file: IndexFile[I], index: I) -> RecallIndexes:
        """The same indexes with another one in the place of the file's."""
        return replace(self, opened={**self.opened, file.name: index})


class Scored:
    """The candidates of one query as each channel scores them. A column is computed once, when it is first asked for:
    a channel's score may build on another's."""

    def __init__(self, indexes: RecallIndexes, query: RecallQuery, rows: NDArray[np.int32]) -> None:
        self.indexes, self.query, self.rows = indexes, query, rows  # rows [c], all known
        self._columns: dict[str, Column | None] = {}

    def __getitem__(self, name: str) -> Column | None:
        """None where the channel does not apply."""
        if name not in self._columns:
            channel = self.indexes.channels[name]
            self._columns[name] = channel.score(self) if channel.applies(self.query) else None
        return self._columns[name]


def build_indexes(
    layout: ReleaseLayout, contents: IndexContents, table: Sequence[Channel] = TABLE
) -> Iterator[tuple[int, int]]:
    """Writes the item table and the index files of the table's channels; after each, how many of how many are there."""
    files = index_files(recall_channels(table))
    build_item_table(layout.items, contents.items())
    yield 1, 1 + len(files)
    for done, file in enumerate(files, 2):
        file.build(layout, contents)
        yield done, 1 + len(files)


def recall_channels(table: Sequence[Channel]) -> dict[str, RecallChannel]:
    """The channels that the rows name, by name. Raises TypeError where a row feeds a surface and its channel cannot
    search, or names something else."""
    channels = {row.name: resolve_name(row.reader) for row in table}
    for row in table:
        channel = channels[row.name]
        if not isinstance(channel, RecallChannel):
            raise TypeError(f"channel {row.name}: {row.reader} is no RecallChannel")
        if row.finds != (channel.search is not None):
            raise TypeError(f"channel {row.name}: a channel feeds surfaces if it can search, and only then")
    return channels


def index_files(channels: Mapping[str, RecallChannel]) -> list[IndexFile[Any]]:
    """Each once, in the order of the channels."""
    return list({channel.index.name: channel.index for channel in channels.values()}.values())
