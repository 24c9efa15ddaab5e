"""Tables on disk: written whole, and the same rows give the same bytes."""

from pathlib import Path

import polars as pl

from shopfuse.core.atomic_files import atomic_file


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Replaces the table at `path`."""
    with atomic_file(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", statistics=True, row_group_size=50_000)
