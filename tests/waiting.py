"""How tests wait for what happens in another thread or process: as short as it takes, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_EVERY_S = 0.01


def wait_until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Returns as soon as the condition holds; fails the test when it does not in time.

    The limit is no claim about speed: it only ends a test whose event never comes.
    """
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"the awaited condition did not come true within {within_s:g} s"
        time.sleep(LOOK_EVERY_S)
