"""Seeds of an evaluation: `--seeds 1,2,3`, read in one way by every command."""

from __future__ import annotations

from typing import Annotated

import typer

SeedsOption = Annotated[str, typer.Option(help="Different whole numbers, separated by commas.")]
LARGEST = 2**31 - 1


def parse_seeds(text: str) -> list[int]:
    """ "1,2,3" as numbers. Raises BadParameter where it is something else."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds {text!r}: expected numbers separated by commas") from None
    if len(set(seeds)) != len(seeds) or not all(0 <= seed <= LARGEST for seed in seeds):
        raise typer.BadParameter(f"--seeds {text!r}: expected different numbers from 0 to {LARGEST}")
    return seeds
