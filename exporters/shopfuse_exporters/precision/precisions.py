"""The precisions that a model can be served in, and which one each model of a build gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FULL = "fp32"
PRECISIONS = (FULL, "fp16", "int8", "int8_static")  # from the best to the worst


@dataclass(frozen=True, slots=True)
class Precisions:
    """What a build was asked for. A model that is `named` has that precision or there is no release; the `others` have
    theirs where they can."""

    others: str = FULL
    named: Mapping[str, str] = field(default_factory=dict)  # submodel -> precision

    def of(self, name: str) -> str:
        return self.named.get(name, self.others)


def worst(precisions: Iterable[str]) -> str:
    """Of several in one chain: an ensemble is as good as the worst of its steps."""
    return max(precisions, key=PRECISIONS.index)
