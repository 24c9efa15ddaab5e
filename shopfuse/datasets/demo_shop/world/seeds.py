"""A random stream for each stage of the simulation, so that a change in one stage leaves the others alone."""

from __future__ import annotations

import numpy as np

_STAGES = ("brands", "items", "wording", "images", "users", "day", "truth", "reviews", "variants")


def stream(seed: int, stage: str, part: int = 0) -> np.random.Generator:
    """The generator of a stage; `part` tells apart the days or chunks of a stage."""
    return np.random.default_rng([seed, _STAGES.index(stage), part])
