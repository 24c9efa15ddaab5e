"""What a report is measured on: the checkpoints of a workspace, and the text encoder of the release that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.inference.text_encoding import TextEncoding
from shopfuse.local.stack import stable_release
from shopfuse.recall.vectors import VectorIndex
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.training.checkpoints.model_files import load_models
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.provenance import data_hashes, provenance


@dataclass(frozen=True, slots=True)
class ReportedModels:
    """The models, and the vectors [N, D] of the catalogue's texts by the encoder that also encodes the queries."""

    manifest: Manifest
    models: ShopModels
    encoding: TextEncoding
    text_vectors: NDArray[np.float32]

    @property
    def is_release(self) -> bool:
        """Whether the checkpoints are those that the release was built from: every figure of their training agrees."""
        return all(self.manifest.metrics.get(name) == value for name, value in self.models.metrics.items())


def open_reported(workspace: Workspace, progress: Progress) -> ReportedModels:
    """Raises a ShopfuseError where nothing is released or trained yet."""
    manifest = stable_release(workspace.root)
    layout = ReleaseLayout(workspace.paths.release(manifest.release_id))
    encoding = ReleaseModels(layout, manifest).text_encoding()
    catalogue = load_catalogue(
        workspace.items().collect(),
        languages=workspace.settings.languages,
    )
    vectors = _released_vectors(workspace, layout, manifest)
    if vectors is None or len(vectors) != len(catalogue):
        vectors = encoding.encode(catalogue.texts(), progress)
    return ReportedModels(manifest, load_models(workspace.paths.checkpoints, catalogue.ids), encoding, vectors)


def facts_of(workspace: Workspace, reported: ReportedModels, seed: int, data: str) -> tuple[tuple[str, str], ...]:
    """The lines at the top of a report."""
    manifest, record = reported.manifest, provenance(workspace)
    models = (
        f"checkpoints of training run {reported.models.made_by.get('training_run', 'unknown')}, run in this process"
    )
    other = "" if reported.is_release else ": NOT those that the release was built from"
    libraries = {**record["libraries"], "matplotlib": version("matplotlib"), "polars": version("polars")}
    return (
        ("release", f"{manifest.release_id} of {manifest.created_at}, fusion {manifest.fusion}"),
        ("models", models + other),
        ("data", f"sha256 {data} (catalogue, images, events)"),
        ("code", record["commit"] or "an installed package"),
        ("libraries", ", ".join(f"{name} {number}" for name, number in libraries.items())),
        ("measured", f"{datetime.now(UTC).isoformat(timespec='seconds')}, {record['cpus']} CPUs, seed {seed}"),
    )


def _released_vectors(workspace: Workspace, layout: ReleaseLayout, manifest: Manifest) -> NDArray[np.float32] | None:
    """The vectors in the release's index, None where the catalogue has changed since."""
    data = manifest.made_by.get("data", {})
    if data_hashes(workspace).get("items") != data.get("items"):
        return None
    index = VectorIndex.open(layout.semantic)  # its vectors are a view: it must live until they are copied
    vectors: NDArray[np.float32] = index.vectors.astype(np.float32)
    return vectors
