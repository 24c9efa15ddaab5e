"""Where models and figures come from: the data of a workspace by its hashes, the libraries, the code, the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shopfuse.datasets.workspace import Workspace
from shopfuse.release.verify import sha256_file

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "tokenizers", "faiss-cpu", "tantivy")


def provenance(workspace: Workspace) -> dict[str, Any]:
    """What a release and a report say about how they were made, beside the models' own record."""
    return {
        "data": data_hashes(workspace),
        "libraries": _libraries(),
        "commit": _git_commit(),
        "cpus": len(os.sched_getaffinity(0)),
    }


def data_hash(workspace: Workspace) -> str:
    """One sha256 over the catalogue, the images and the events, in that order."""
    files = [workspace.paths.items, workspace.paths.retired_items, workspace.paths.images, *workspace.paths.event_days]
    hashes = [bytes.fromhex(sha256_file(path)) for path in files if path.is_file()]
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def data_hashes(workspace: Workspace) -> dict[str, str]:
    """One sha256 for the items, one for the images, one for all days of events; no entry where there is none."""
    hashes = {
        name: sha256_file(path)
        for name, path in (("items", workspace.paths.items), ("images", workspace.paths.images))
        if path.is_file()
    }
    if days := workspace.paths.event_days:
        hashes["events"] = hashlib.sha256("".join(map(sha256_file, days)).encode()).hexdigest()
    return hashes


def _libraries() -> dict[str, str]:
    """Their versions, without those that this machine does without."""
    versions = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _git_commit() -> str:
    """The commit of this code, "" where it runs from an installed package."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return ""
    answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
