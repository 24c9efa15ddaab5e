"""Settings that all tests share, and how they run side by side: a folder in one process, the slow folders first."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# Processes side by side have a core each: threads of all of them would wait for one another. Read when torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# torch traces every export step to this logger; pytest would record hundreds of thousands of lines.
logging.getLogger("torch.__trace").propagate = False

TESTS = Path(__file__).parent
SLOW = ("e2e", "exporters", "training", "publishing")


class _Folders(LoadScopeScheduling):  # type: ignore[misc]
    """What a folder's tests share, such as a shop or a Triton, is made once. (xdist_group does not reach pytest 9.)"""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.removeprefix(f"{TESTS.name}/").partition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _Folders(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def wait(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return SLOW.index(folder) if folder in SLOW else len(SLOW)

    items.sort(key=wait)
