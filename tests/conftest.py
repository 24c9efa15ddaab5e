"""Settings that all tests share."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

# Processes side by side have a core each: threads of all of them would wait for one another. Read when torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# torch traces every export step to this logger; pytest would record hundreds of thousands of lines.
logging.getLogger("torch.__trace").propagate = False

TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders run side by side, each in one process: what its tests share, such as a Triton, is started once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).parts[0]))
