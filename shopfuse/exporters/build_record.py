"""How a release was made: the inputs by their hashes, the libraries, the code, and the seconds of every step."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.errors import BuildError
from shopfuse.release.verify import sha256_file

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "tokenizers", "faiss-cpu", "tantivy")


class StepTimes:
    """The seconds that each step of a build took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Raises BuildError for an OSError: a full disk, a folder that may not be written."""
        self._progress(name, 0, 0)
        started = time.perf_counter()
        try:
            with disk_errors_named(name):
                yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 2)


@contextmanager
def disk_errors_named(step: str) -> Iterator[None]:
    """An OSError (a full disk, a folder that may not be written) becomes a BuildError with the step and the path."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BuildError(f"{step}: {where}{error.strerror or error}") from error


def made_by(workspace: Workspace, seed: int) -> dict[str, Any]:
    """What the manifest says beside the models' own record."""
    return {
        "seed": seed,
        "data": _data_hashes(workspace),
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _git_commit(),
        "cpus": len(os.sched_getaffinity(0)),
    }


def peak_memory_mb() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _data_hashes(workspace: Workspace) -> dict[str, str]:
    """One sha256 for the items, one for the pictures, one for all days of events; no entry where there is none."""
    hashes = {
        name: sha256_file(path)
        for name, path in (("items", workspace.paths.items), ("images", workspace.paths.images))
        if path.is_file()
    }
    if days := workspace.paths.event_days:
        hashes["events"] = hashlib.sha256("".join(map(sha256_file, days)).encode()).hexdigest()
    return hashes


def _git_commit() -> str:
    """The commit of this code, "" where it runs from an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return asked.stdout.strip()
