"""The option --precision: one for all models, or NAME=PRECISION for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from shopfuse.ranking.errors import ShopfuseError
from shopfuse.ranking.tensors import submodels

PRECISIONS: Final = ("fp32", "fp16", "int8", "int8_static")
MODELS: Final = tuple(submodels(1))

PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(help="fp32, fp16, int8 or int8_static for all models, or NAME=PRECISION for one; may be repeated."),
]


def parse_precisions(values: Sequence[str]) -> dict[str, str]:
    """Submodel -> precision; later values win. Raises ShopfuseError naming what is not known."""
    chosen: dict[str, str] = {}
    for value in values:
        name, _, precision = value.rpartition("=")
        if precision not in PRECISIONS:
            raise ShopfuseError(f"--precision {value}: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
        if name and name not in MODELS:
            raise ShopfuseError(f"--precision {value}: no model {name!r} (there are: {', '.join(MODELS)})")
        chosen |= dict.fromkeys([name] if name else MODELS, precision)
    return chosen
