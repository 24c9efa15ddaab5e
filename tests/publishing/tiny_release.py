"""Signed releases of two tiny models and one ensemble, and how to ask for it.

encoder: v = x * factor; tower: y = v * factor; rank: x -> y through both.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from google.protobuf import text_format
from onnx import helper
from safetensors.numpy import save
from tritonclient.grpc import model_config_pb2 as pb

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.leases import Lease
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.release.signature import create_keys, sign
from shopfuse.release.verify import read_manifest
from shopfuse.triton.model_control import ModelControl
from shopfuse.triton.model_infer import answer_of, request_of
from tests.manifests import tiny_manifest

TENSORS = {"encoder": ("x", "v"), "tower": ("v", "y")}  # model -> (its input, its output)
PASSED: dict[str, object] = {
    "passed": True,
    "precision": "fp32",
    "cases": 12,
    "max_abs_diff": 1e-6,
    "cosine_min": 1.0,
    "cosine_mean": 1.0,
    "ranking": None,
    "neighbours": 0.0,
    "padding": 0.0,
    "accepted": "",
}


@dataclass(frozen=True)
class Scaling:
    """One version of a model that multiplies by a factor; `ballast` makes its file larger."""

    version: int
    factor: float
    ballast: int = 0


@dataclass(frozen=True)
class Shop:
    """A workspace whose models have names of their own, so that tests can share one Triton."""

    root: Path
    tag: str

    @property
    def key(self) -> Path:
        return WorkspacePaths(self.root).public_key

    @property
    def repository(self) -> Path:
        return self.root / "model_repository"

    @property
    def channels(self) -> Channels:
        return read_channels(self.root)

    def release(self, name: str) -> Path:
        return self.root / "releases" / name

    def name(self, model: str) -> str:
        return f"{model}_{self.tag}"

    def placed(self) -> set[str]:
        """The version folders of this shop in the repository."""
        return {
            f"{version.parent.name}/{version.name}"
            for version in self.repository.glob(f"*_{self.tag}*/[0-9]*")
            if not version.parent.name.startswith(".")
        }

    def add(
        self,
        release_id: str,
        encoder: Scaling,
        tower: Scaling,
        parity: dict[str, object] | None = PASSED,
        reason: str = "",
        options: str = "",
        expected: float | None = None,
    ) -> Manifest:
        """Writes and signs a release; `options` is text that is merged over the models' configurations,
        `expected` what its golden query says that rank makes of 1."""
        root = self.release(release_id)
        layout = ReleaseLayout(root)
        scalings = {"encoder": encoder, "tower": tower}
        versions = {
            model: write_scaling(layout.models, self.name(model), TENSORS[model], scaling, options)
            for model, scaling in scalings.items()
        }
        ensemble = self.name("rank") + f"_{release_id}"
        write_ensemble(layout.models, ensemble, versions)
        write_golden(layout.golden, encoder.factor, expected or encoder.factor * tower.factor)
        (root / "items").mkdir()
        (root / "items" / "item_vectors.npy").write_bytes(b"vectors of " + release_id.encode())
        manifest = replace(
            tiny_manifest(release_id, versions),
            ensembles={"rank": ensemble},
            parity={"encoder": parity, "tower": PASSED},
            overrides={"encoder": reason} if reason else {},
        )
        return self.sign(manifest)

    def resign(self, release_id: str) -> None:
        """As it is now: whoever built it did not notice what is wrong."""
        self.sign(read_manifest(self.release(release_id)))

    def sign(self, manifest: Manifest) -> Manifest:
        """Hashes the files as they are now, writes the manifest and signs it."""
        layout = ReleaseLayout(self.release(manifest.release_id))
        layout.manifest.unlink(missing_ok=True)
        layout.signature.unlink(missing_ok=True)
        files = {
            str(path.relative_to(layout.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(layout.root.rglob("*"))
            if path.is_file()
        }
        whole = replace(manifest, files=files)
        layout.manifest.write_text(whole.to_json())
        layout.signature.write_bytes(sign(layout.manifest.read_bytes(), WorkspacePaths(self.root).private_key))
        return whole


def new_shop(root: Path, tag: str, repository: Path) -> Shop:
    """An empty workspace with keys, whose model repository is the one that a Triton serves."""
    (root / "releases").mkdir(parents=True)
    create_keys(root / "keys")
    if root / "model_repository" != repository:
        (root / "model_repository").symlink_to(repository)
    return Shop(root, tag)


def write_scaling(models: Path, name: str, tensors: tuple[str, str], scaling: Scaling, options: str) -> ModelVersion:
    file = models / name / str(scaling.version) / "model.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(_graph(tensors, scaling), file)
    config = _config(tensors, name=name, backend="onnxruntime")
    config.version_policy.all.SetInParent()
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    config.MergeFrom(text_format.Parse(options, pb.ModelConfig()))
    (models / name / "config.pbtxt").write_text(text_format.MessageToString(config))
    (models / name / "warmup").mkdir()
    (models / name / "warmup" / "ones").write_bytes(np.ones(1, np.float32).tobytes())
    return ModelVersion(name, scaling.version, "fp32", hashlib.sha256(file.read_bytes()).hexdigest())


def _config(tensors: tuple[str, str], **fields: str) -> pb.ModelConfig:
    config = pb.ModelConfig(max_batch_size=4, **fields)
    config.input.add(name=tensors[0], data_type=pb.TYPE_FP32, dims=[-1])
    config.output.add(name=tensors[1], data_type=pb.TYPE_FP32, dims=[-1])
    return config


def _graph(tensors: tuple[str, str], scaling: Scaling) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", "width"]) for name in tensors]
    factor = helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [scaling.factor])
    node = helper.make_node("Mul", [tensors[0], "factor"], [tensors[1]])
    graph = helper.make_graph([node], "scaling", ends[:1], ends[1:], [factor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.doc_string = "-" * scaling.ballast
    return model


def write_ensemble(models: Path, name: str, versions: dict[str, ModelVersion]) -> None:
    config = _config(("x", "y"), name=name, platform="ensemble")
    for model, version in versions.items():
        added = config.ensemble_scheduling.step.add(model_name=version.model, model_version=version.version)
        source, target = TENSORS[model]
        added.input_map[source] = source
        added.output_map[target] = target
    (models / name / "1").mkdir(parents=True)
    (models / name / "1" / "README").write_text("An ensemble has no file.\n")
    (models / name / "config.pbtxt").write_text(text_format.MessageToString(config))


def write_golden(path: Path, encoded: float, ranked: float) -> None:
    """One case: of x = 1 the encoder makes v = encoded, and the tower of that y = ranked."""
    values = {"x": 1.0, "v": encoded, "y": ranked}
    tensors_of = {**TENSORS, "rank": ("x", "y")}
    bound = {"max_abs": 1e-4, "cosine_min": 0.9999}
    metadata = {
        "format": 1,
        "cases": [{"name": "one", "sizes": {}}],
        "axes": {},
        "models": {name: {"inputs": [x], "outputs": {y: bound}} for name, (x, y) in tensors_of.items()},
    }
    tensors = {f"0/{name}": np.array([value], np.float32) for name, value in values.items()}
    path.write_bytes(save(tensors, {"golden": json.dumps(metadata)}))


def write_lease(workspace: Path, gateway: str, holds: tuple[str, ...], age_s: float = 0.0) -> None:
    """As a gateway on another host would; it answers with no release."""
    lease = Lease(gateway, "", "", holds, time.time() - age_s)
    WorkspacePaths(workspace).gateway_leases.mkdir(parents=True, exist_ok=True)
    (WorkspacePaths(workspace).gateway_leases / f"{gateway}.json").write_text(json.dumps(asdict(lease)))


def ask(control: ModelControl, shop: Shop, release_id: str, timeout_s: float = 5.0) -> float:
    """What rank of a release makes of 1."""
    request = request_of(f"{shop.name('rank')}_{release_id}", "", {"x": np.ones((1, 1), np.float32)})
    (answer,) = answer_of(control.stub.ModelInfer(request, timeout=timeout_s)).values()
    return float(answer.item())
