"""The repository that a build writes, in a real Triton: every model loads and warms, every ensemble answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc as triton_client

from shopfuse.exporters.ensemble_config import ROLES, joined_tensors
from shopfuse.exporters.onnx_session import OnnxModel
from shopfuse.exporters.sample_inputs import Arrays, random_inputs
from shopfuse.ranking.tensors import Submodel, submodels
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import read_manifest
from shopfuse.serving.triton import LocalTriton

from .tiny_models import TINY

BATCH, AXES = 2, {"length": 16, "candidates": 32}


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    return read_manifest(built / "releases/r1")


@pytest.fixture(scope="module")
def client(
    built: Path, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[triton_client.InferenceServerClient]:
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with LocalTriton(built / "model_repository", log) as triton:
        triton.load(*manifest.models)
        triton.load(*manifest.ensembles.values())
        yield triton_client.InferenceServerClient(triton.address)


def _in_this_process(built: Path, steps: list[Submodel], inputs: Arrays) -> Arrays:
    """The steps one after the other, without Triton."""
    known = dict(inputs)
    for step in steps:
        model = OnnxModel(step, built / "model_repository" / step.name / "1/model.onnx")
        known |= model.run({tensor.name: known[tensor.name] for tensor in step.inputs})
    return known


@pytest.mark.parametrize("role", ROLES)
def test_an_ensemble_answers_as_its_steps_do_here(
    role: str, built: Path, manifest: Manifest, client: triton_client.InferenceServerClient
) -> None:
    steps = [submodels(TINY)[name] for name in ROLES[role][0]]
    tensors, _ = joined_tensors(steps)
    chain = Submodel(role, tuple(tensors), (), {}, BATCH)
    inputs = random_inputs(chain, BATCH, AXES, np.random.default_rng(0))
    requests = []
    for tensor in tensors:
        requests.append(triton_client.InferInput(tensor.name, inputs[tensor.name].shape, tensor.dtype))
        requests[-1].set_data_from_numpy(inputs[tensor.name])

    answer = client.infer(manifest.ensembles[role], requests)
    expected = _in_this_process(built, steps, inputs)
    for name in ROLES[role][1]:
        np.testing.assert_allclose(answer.as_numpy(name), expected[name].astype(np.float32), atol=1e-5)
