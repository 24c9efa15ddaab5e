"""The tiny models and the small shop, exported and built once for the session: an export takes a second."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters import build
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.verify import verified_model
from tests.exporters.small_shop import fit, tiny_text_encoder, write_catalogue, write_events
from tests.exporters.tiny_models import ENCODER, TOWER, TinyEncoder, TinyTower, exported

Export = Callable[[Submodel, nn.Module, Path], Path]


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(ENCODER, TinyEncoder(), tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def tower_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(TOWER, TinyTower(), tmp_path_factory.mktemp("tower"))


@pytest.fixture(scope="session")
def export_once() -> Export:
    """export_submodel with a memory: tests that build the same shop again and again export its models once."""
    known: dict[str, bytes] = {}

    def export(declaration: Submodel, module: nn.Module, path: Path) -> Path:
        weights = io.BytesIO()
        torch.save(module.state_dict(), weights)
        settings = f"{declaration} {type(module)} {vars(module).get('flaw')} {vars(module).get('method')}"
        key = hashlib.sha256(weights.getvalue() + settings.encode()).hexdigest()
        if key not in known:
            known[key] = export_submodel(declaration, module, path).read_bytes()
        path.write_bytes(known[key])
        return path

    return export


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, export_once: Export) -> Path:
    """A workspace with one release."""
    root = tmp_path_factory.mktemp("built")
    workspace = Workspace.create(root / "shop")
    write_catalogue(workspace)
    write_events(workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_model, "export_submodel", export_once)
        patch.setattr(build, "build_models", fit)
        patch.setattr(build, "load_text_encoder", lambda _: tiny_text_encoder(root))
        build_workspace(workspace, BuildOptions(seed=3))
    return workspace.root
