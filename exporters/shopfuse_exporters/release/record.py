"""How a release was made: the inputs by their hashes, the libraries, the code, and the memory that it took."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shopfuse.datasets.workspace import Workspace
from shopfuse.release.verify import sha256_file

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "tokenizers", "faiss-cpu", "tantivy")


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
    """One sha256 for the items, one for the images, one for all days of events; no entry where there is none."""
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
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return ""
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return asked.stdout.strip()
