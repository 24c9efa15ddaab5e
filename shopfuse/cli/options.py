"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from shopfuse.cli.plain_options import JsonOption as JsonOption
from shopfuse.cli.plain_options import WorkspaceOption as WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import submodels
from shopfuse_exporters.precision.precisions import FULL, PRECISIONS, Precisions

LARGEST_SEED: Final = 2**31 - 1
MODELS: Final = tuple(submodels(1))

SeedsOption = Annotated[str, typer.Option(help="Different whole numbers, separated by commas.")]
PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(help="fp32, fp16, int8 or int8_static for all models that can, or NAME=PRECISION for one that must."),
]
GpuOption = Annotated[
    list[str] | None,
    typer.Option("--gpu", help="GPU architecture such as sm89 (L4); repeat for several. Default: sm86, sm89, sm120."),
]
JudgmentsOption = Annotated[
    Path, typer.Option("--judgments", "-j", help="CSV or Parquet: query,item_id,grade[,user_id][,scene].")
]
# Of the shops that an evaluation simulates.
ItemsOption = Annotated[int, typer.Option(min=300, help="Products of each shop.")]
UsersOption = Annotated[int, typer.Option(min=100, help="Users of each shop.")]
DaysOption = Annotated[int, typer.Option(min=5, help="Days of events.")]


def parse_seeds(text: str) -> list[int]:
    """ "1,2,3" as numbers. Raises BadParameter where it is something else."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds {text!r}: expected numbers separated by commas") from None
    if len(set(seeds)) != len(seeds) or not all(0 <= seed <= LARGEST_SEED for seed in seeds):
        raise typer.BadParameter(f"--seeds {text!r}: expected different numbers from 0 to {LARGEST_SEED}")
    return seeds


def parse_precisions(values: Sequence[str]) -> Precisions:
    """Later values win. Raises ShopfuseError naming what is not known."""
    others, named = FULL, dict[str, str]()
    for value in values:
        name, _, precision = value.rpartition("=")
        if precision not in PRECISIONS:
            raise ShopfuseError(f"--precision {value}: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
        if name and name not in MODELS:
            raise ShopfuseError(f"--precision {value}: no model {name!r} (there are: {', '.join(MODELS)})")
        if name:
            named[name] = precision
        else:
            others = precision
    return Precisions(others, named)
