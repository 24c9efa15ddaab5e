"""An empty workspace for each test."""

from pathlib import Path

import pytest

from shopfuse.datasets.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "shop")
