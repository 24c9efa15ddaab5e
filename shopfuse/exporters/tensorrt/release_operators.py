"""The operator check over all models of a release."""

from __future__ import annotations

from pathlib import Path

import onnx

from shopfuse.exporters.operator_support import operator_problems
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.verify import read_manifest


def release_operator_problems(root: Path) -> dict[str, list[str]]:
    """By submodel, what TensorRT cannot build of it; empty lists where it can."""
    models = read_manifest(root).models.items()
    folder = ReleaseLayout(root).models
    files = {name: folder / model.model / str(model.version) / "model.onnx" for name, model in models}
    return {name: operator_problems(onnx.load(path)) for name, path in files.items()}
