"""What a release or a report says about the data that it was made from."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path

from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.provenance import data_hash, data_hashes, provenance


def shop(root: Path) -> Workspace:
    """Two days of events beside a catalogue without images."""
    workspace = Workspace.create(root)
    for path in (workspace.paths.items, *(workspace.paths.events_of(date(2024, 5, day)) for day in (1, 2))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return workspace


def test_what_is_not_there_has_no_hash(tmp_path: Path) -> None:
    workspace = shop(tmp_path / "shop")

    assert data_hashes(workspace).keys() == {"items", "events"}
    assert data_hashes(workspace)["items"] == sha256(workspace.paths.items.read_bytes()).hexdigest()


def test_a_change_of_any_file_changes_the_hash_of_all(tmp_path: Path) -> None:
    workspace = shop(tmp_path / "shop")
    paths = (workspace.paths.items, workspace.paths.images, *workspace.paths.event_days)
    hashes = [data_hash(workspace)]
    for path in paths:
        path.write_bytes(b"changed")
        hashes.append(data_hash(workspace))

    assert len(set(hashes)) == len(paths) + 1


def test_libraries_are_named_with_their_versions(tmp_path: Path) -> None:
    libraries = provenance(shop(tmp_path / "shop"))["libraries"]

    assert {"torch", "numpy"} <= libraries.keys()
    assert all(libraries.values())
