"""New rows laid over old ones by key: the later row wins, and it is known which rows that changed.

Pure: frames in, frames out. It knows neither items nor events, only a key column and a `row` column in the new frame.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge: all rows, unsorted, and what happened to get there."""

    frame: pl.DataFrame
    winners: pl.DataFrame  # columns key, row: the row of the import that each key comes from
    superseded: pl.DataFrame  # columns key, row, winner: rows with the same key and other content than the winner
    added: int
    updated: int
    unchanged: int
    repeated: int  # rows of the import that say what the winner of their key says

    @property
    def changed(self) -> bool:
        return self.added + self.updated > 0


@dataclass(slots=True)
class MergeCounts:
    """Sums over the merges of one import."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0

    def add(self, merge: Merged) -> None:
        """Count one merge."""
        self.added += merge.added
        self.updated += merge.updated
        self.unchanged += merge.unchanged
        self.repeated += merge.repeated

    @property
    def changed(self) -> bool:
        return self.added + self.updated > 0


def merge_rows(old: pl.DataFrame, new: pl.DataFrame, key: str) -> Merged:
    """Lay `new` (the columns of `old` and `row`) over `old`; keys of `old` are unique, those of `new` need not be."""
    columns = old.columns
    last = new.sort("row", maintain_order=True).unique(key, keep="last", maintain_order=True)
    both = last.join(old, on=key, how="inner", suffix="_old")
    updated = _differing(both, columns, key).height
    superseded = _superseded(new, last, columns, key)
    frame = pl.concat([old.join(last, on=key, how="anti"), last.select(columns)])
    return Merged(
        frame=frame,
        winners=last.select(key, "row"),
        superseded=superseded,
        added=last.height - both.height,
        updated=updated,
        unchanged=both.height - updated,
        repeated=new.height - last.height - superseded.height,
    )


def _superseded(new: pl.DataFrame, last: pl.DataFrame, columns: list[str], key: str) -> pl.DataFrame:
    schema = {key: new.schema[key], "row": new.schema["row"], "winner": new.schema["row"]}
    if last.height == new.height:
        return pl.DataFrame(schema=schema)
    earlier = new.join(last.select(key, winner="row"), on=key).filter(pl.col("row") != pl.col("winner"))
    pairs = earlier.join(last.drop("row"), on=key, suffix="_old")
    return _differing(pairs, columns, key).select(key, "row", "winner").sort("row")


def _differing(pairs: pl.DataFrame, columns: list[str], key: str) -> pl.DataFrame:
    others = [name for name in columns if name != key]
    return pairs.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_old")) for name in others))
