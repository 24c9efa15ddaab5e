"""Learned fusion methods as a release serves them: exported, verified against torch, and asked of a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from tritonclient.grpc import InferenceServerClient, InferInput

from shopfuse.ranking.tensors import Arrays, submodels
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.triton.local_triton import LocalTriton
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.triton.model_config import WARMUP_FOLDER, config_text, model_config, warmup_files
from shopfuse_exporters.verify.cases import torch_answer
from shopfuse_exporters.verify.verified_model import export_verified
from tests.tritons import QUICK

# Two sizes of lists are enough here, and several times faster: every build verifies all of them.
RANKER = replace(submodels(16)["fusion_ranker"], buckets={"candidates": (32, 128)}, max_batch=4)
METHODS = ("stacking", "moe")  # `attention` and the score-level ones are exported and served by other tests
NAMES = {method: f"fusion_{method}" for method in METHODS}


def _ranker(method: str) -> FusionRanker:
    """Weights as far from their start as training moves them."""
    torch.manual_seed(0)
    ranker = FusionRanker(method).eval()
    with torch.no_grad():
        for parameter in ranker.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return ranker


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceServerClient]:
    """A Triton with a model for each method; each has passed the parity check, or the fixture fails."""
    repository = tmp_path_factory.mktemp("methods")
    for method, name in NAMES.items():
        verified = export_verified(RANKER, _ranker(method), repository / name / "1")
        verified.path.rename(repository / name / "1" / "model.onnx")
        config = model_config(RANKER)
        config.name = name
        (repository / name / "config.pbtxt").write_text(config_text(config))
        (repository / name / WARMUP_FOLDER).mkdir()
        for file, contents in warmup_files(RANKER).items():
            (repository / name / WARMUP_FOLDER / file).write_bytes(contents)
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with LocalTriton(repository, log, QUICK) as triton:
        triton.load(*NAMES.values())
        with InferenceServerClient(triton.address) as client:
            yield client


def _ask(client: InferenceServerClient, name: str, arrays: Arrays) -> Arrays:
    inputs = []
    for tensor in RANKER.inputs:
        inputs.append(InferInput(tensor.name, list(arrays[tensor.name].shape), tensor.dtype))
        inputs[-1].set_data_from_numpy(np.ascontiguousarray(arrays[tensor.name]))
    answer = client.infer(name, inputs)
    return {tensor.name: answer.as_numpy(tensor.name) for tensor in RANKER.outputs}


@pytest.mark.parametrize("method", METHODS)
def test_triton_answers_as_torch_does(method: str, served: InferenceServerClient) -> None:
    reference = torch_answer(RANKER, _ranker(method))
    for batch, candidates in ((1, 128), (3, 32)):
        arrays = random_inputs(RANKER, batch, {"candidates": candidates}, np.random.default_rng(batch))

        actual, expected = _ask(served, NAMES[method], arrays), reference(arrays)

        for name, values in expected.items():
            assert np.allclose(actual[name].astype(float), values.astype(float), atol=1e-4), name
        assert float(np.ptp(actual["task_probabilities"].astype(float))) > 0.01  # it tells candidates apart
