"""The golden file: every model and ensemble, every bucket, expectations of torch, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shopfuse.publishing.golden_file import read_golden
from shopfuse.ranking.tensors import COUNT_BUCKETS, LENGTH_BUCKETS, submodels
from shopfuse.training.checkpoints.shop_models import fitted_models
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.release.golden_cases import SIZES
from shopfuse_exporters.release.golden_set import write_golden
from shopfuse_exporters.triton.ensembles import ROLES
from shopfuse_exporters.verify import verified_model
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified
from tests.exporters.conftest import Export
from tests.exporters.tiny_models import TINY, TinyEncoder, poisoned

TOKENS = [[1, 5, 6, 2], [1, 7, 2], [], [1, 8, 9, 10, 11, 2], [3]]


@pytest.fixture(scope="module")
def modules() -> dict[str, nn.Module]:
    fitted = fitted_models(np.random.default_rng(0).standard_normal((20, TINY)).astype(np.float32), (), "weighted")
    return {"text_encoder": TinyEncoder(), **fitted.modules}


@pytest.fixture(scope="module")
def verified(
    modules: Mapping[str, nn.Module], export_once: Export, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, VerifiedModel]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_model, "export_submodel", export_once)
        return {name: export_verified(submodels(TINY)[name], module, folder) for name, module in modules.items()}


@pytest.fixture(scope="module")
def written(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_golden(tmp_path_factory.mktemp("golden") / "golden.safetensors", verified, modules, TOKENS, {})


def test_every_model_and_role_has_cases_in_every_bucket(written: Path, verified: Mapping[str, VerifiedModel]) -> None:
    golden = read_golden(written)

    assert set(golden.models) == set(verified) | set(ROLES) - {
        "encode_image",
        "classify_text",
    }  # of images and heads
    assert len(golden.cases) == len(SIZES)
    assert {case.sizes["length"] for case in golden.cases} == set(LENGTH_BUCKETS)
    assert {case.sizes["candidates"] for case in golden.cases} == set(COUNT_BUCKETS)
    assert set(golden.models["encode_query"].outputs) == {"text_embedding", "query_vector"}
    assert "image_embedding" in golden.models["encode_item"].inputs  # there is no image encoder
    assert "query_vector" not in golden.models["rank"].inputs


def test_expectations_are_those_of_torch(written: Path, modules: Mapping[str, nn.Module]) -> None:
    golden = read_golden(written)
    ids = torch.from_numpy(golden.tensor(7, "input_ids"))[None]

    with torch.no_grad():
        text = modules["text_encoder"](ids, torch.ones_like(ids))
        query = modules["query_tower"](text)
    assert ids.shape == (1, 32)
    np.testing.assert_array_equal(golden.tensor(7, "text_embedding"), text[0].numpy())
    np.testing.assert_array_equal(golden.tensor(7, "query_vector"), query[0].numpy())


def test_requests_are_padded_with_masks_that_say_so(written: Path) -> None:
    golden = read_golden(written)

    inputs = golden.inputs(golden.models["rank"], [0, 1])
    assert inputs["attention_mask"].tolist() == [[1] * 4 + [0] * 12, [1] * 6 + [0] * 10]
    assert inputs["candidate_mask"].sum(1).tolist() == [5, 20]
    assert inputs["item_vectors"].shape == (2, 32, 128)
    assert inputs["item_vectors"].dtype == np.float16
    assert not inputs["item_vectors"][0, 5:].any()


def test_the_shop_s_own_rows_are_used_and_repeated(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    declaration = verified["fusion_ranker"].declaration
    lists = random_inputs(declaration, 2, {"candidates": 7}, np.random.default_rng(3))

    golden = read_golden(
        write_golden(tmp_path / "g", verified, modules, TOKENS, {"fusion_ranker": {"features": lists["features"]}})
    )
    np.testing.assert_array_equal(golden.tensor(1, "features")[:7], lists["features"][1])
    np.testing.assert_array_equal(golden.tensor(1, "features")[7:14], lists["features"][1])


def test_texts_are_cut_to_what_the_encoder_takes(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    golden = read_golden(write_golden(tmp_path / "g", verified, modules, TOKENS, {}, max_tokens=20))

    lengths = [len(golden.tensor(place, "input_ids")) for place in range(len(SIZES))]
    assert lengths == [min(length, 20) for length, _ in SIZES]


def test_the_file_is_small_and_the_same_each_time(
    written: Path, verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    again = write_golden(tmp_path / "again.safetensors", verified, modules, TOKENS, {})

    assert again.read_bytes() == written.read_bytes()
    assert written.stat().st_size < 2e6


def test_a_golden_set_without_a_query_is_refused(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    with pytest.raises(ParityError, match=r"golden\.safetensors: the golden set is empty: no query has a token"):
        write_golden(tmp_path / "golden.safetensors", verified, modules, [[], []], {})


def test_a_model_that_misses_the_expectations_here_is_not_released(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    tower = verified["query_tower"]
    spoiled = {**verified, "query_tower": replace(tower, path=poisoned(tower.path, tmp_path, 3.0))}

    with pytest.raises(
        ParityError, match="query_tower: output 'query_vector' in fp32 misses a golden expectation: larg"
    ):
        write_golden(tmp_path / "g", spoiled, modules, TOKENS, {})


def test_an_accepted_model_is_held_to_twice_what_it_showed(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    tower = verified["query_tower"]
    report = replace(tower.report, passed=False, accepted="a trial")
    spoiled = {**verified, "query_tower": replace(tower, path=poisoned(tower.path, tmp_path, 3.0), report=report)}

    golden = read_golden(write_golden(tmp_path / "g", spoiled, modules, TOKENS, {}))
    assert 0.01 < golden.models["query_tower"].outputs["query_vector"].max_abs < 4.0
    assert golden.models["encode_query"].outputs["query_vector"].cosine_min < 0.9999
    assert golden.models["text_encoder"].outputs["text_embedding"].max_abs == 1e-4


def test_ensembles_are_held_to_the_precision_of_their_worst_step(
    verified: Mapping[str, VerifiedModel], modules: Mapping[str, nn.Module], tmp_path: Path
) -> None:
    mixed = {**verified, "text_encoder": replace(verified["text_encoder"], precision="int8")}

    golden = read_golden(write_golden(tmp_path / "g", mixed, modules, TOKENS, {}))
    gpu = read_golden(write_golden(tmp_path / "t", mixed, modules, TOKENS, {}, target="tensorrt"))
    assert golden.models["encode_query"].outputs["query_vector"].cosine_min == 0.97
    assert golden.models["query_tower"].outputs["query_vector"].cosine_min == 0.9999
    assert golden.models["query_tower"].outputs["query_vector"].max_abs == 1e-4
    assert gpu.models["query_tower"].outputs["query_vector"].max_abs == 0.002  # TF32
