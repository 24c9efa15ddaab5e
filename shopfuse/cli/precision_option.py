"""The option --precision: one for all models, or NAME=PRECISION for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import submodels
from shopfuse_exporters.precision.convert import FULL, PRECISIONS, Precisions

MODELS: Final = tuple(submodels(1))

PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(help="fp32, fp16, int8 or int8_static for all models that can, or NAME=PRECISION for one that must."),
]


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
