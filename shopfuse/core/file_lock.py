"""One holder at a time: a file lock that the operating system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shopfuse.core.errors import ShopfuseError

LOOK_EVERY_S = 0.05


@contextmanager
def file_lock(path: Path, refusal: Callable[[str], ShopfuseError], wait_s: float = 0.0) -> Iterator[None]:
    """Holds `path`; raises what `refusal` makes of the holder's pid where it is not free within `wait_s`."""
    with path.open("a+", encoding="ascii") as file:
        give_up = time.monotonic() + wait_s
        while not _taken(file):
            if time.monotonic() >= give_up:
                file.seek(0)
                raise refusal(file.read().strip() or "unknown")
            time.sleep(LOOK_EVERY_S)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
