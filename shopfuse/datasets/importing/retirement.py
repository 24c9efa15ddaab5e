"""Items that a whole catalogue no longer lists: they leave the items for a table of their own, and come back from it.

A retired item is in no index, so that nothing finds, recommends or ranks it. Its row is kept: training goes on to learn
from what was done with it.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.importing.source_rows import Row, RowProblem
from shopfuse.datasets.importing.values.field_values import BadValueError, as_item_id, getter
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace

_GROUP: Final = 20_000


class TooManyRetiredError(ShopfuseError):
    """A file that is said to be everything lacks so many items that it is probably a part; nothing was imported."""


@dataclass(slots=True)
class BadRows:
    """The items of rows that were set aside: the file lists them, so they are not retired."""

    id_source: Source
    ids: set[str] = field(default_factory=set)
    texts: list[str] = field(
        default_factory=list
    )  # of rows that could not be read: an item named in one is not retired

    def add(self, row: Row | RowProblem) -> None:
        if isinstance(row, RowProblem):
            self.texts.append(row.value)
            return
        with suppress(BadValueError):
            self.ids.add(as_item_id(getter(self.id_source.fields[0])(row)))

    def of(self, item_ids: pl.Series) -> pl.Series:
        """Those of the items that a bad row names, or may name."""
        text = "\n".join(self.texts)
        return pl.Series("item_id", [one for one in item_ids if one in self.ids or (text and one in text)], pl.String)


@dataclass(frozen=True, slots=True)
class Retirement:
    """What became of items that were there before and that the file lacks."""

    lacking: int  # there before, and in no row of the file
    retired: int
    returned: int  # retired before, and in the file


NOTHING_RETIRED: Final = Retirement(0, 0, 0)


def retire(workspace: Workspace, staging: Path, listed: pl.Series, bad: BadRows, max_share: float | None) -> Retirement:
    """Lay the tables of active and retired items into `staging`, beside what an import has put there.

    `listed` are the ids of its good rows. `max_share` is None where the file is not everything: then nothing is
    retired, but what the file lists comes back. Raises TooManyRetiredError above that share of what was there.
    """
    paths = workspace.paths
    items = staging / paths.items.name
    current = items if items.is_file() else paths.items
    active = pl.scan_parquet(current, schema=ITEM_SCHEMA, missing_columns="insert", hive_partitioning=False)
    unlisted = active.select("item_id").join(pl.LazyFrame({"item_id": listed}), on="item_id", how="anti").collect()
    lacking = unlisted.join(bad.of(unlisted["item_id"]).to_frame(), on="item_id", how="anti")
    retires = max_share is not None and not lacking.is_empty()
    if retires and max_share is not None:
        _check(lacking.height, int(workspace.items().select(pl.len()).collect().item()), max_share)
    before = workspace.retired_items()
    kept = before.join(pl.LazyFrame({"item_id": listed}), on="item_id", how="anti")
    returned = int(before.select(pl.len()).collect().item()) - int(kept.select(pl.len()).collect().item())
    if retires or returned:
        gone = [active.join(lacking.lazy(), on="item_id", how="semi")] if retires else []
        retired = pl.concat([kept, *gone]).sort("item_id").collect()
        retired.write_parquet(staging / paths.retired_items.name, row_group_size=_GROUP)
    if retires:
        rest = staging / "active"
        left = active.join(lacking.lazy(), on="item_id", how="anti", maintain_order="left")
        left.sink_parquet(rest, compression="zstd", row_group_size=_GROUP, maintain_order=True)
        rest.replace(items)
    return Retirement(lacking.height, lacking.height if retires else 0, returned)


def _check(lacking: int, before: int, max_share: float) -> None:
    if lacking > max_share * before:
        raise TooManyRetiredError(
            f"the file lacks {lacking} of {before} items, more than --max-retired {max_share:g} allows; nothing was "
            f"imported. If it is everything all the same: --max-retired {min(1.0, lacking / before + 0.005):.2f}"
        )
