"""config.pbtxt says to Triton what the declaration says, parsed back through Triton's own message."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from shopfuse.ranking.tensors import COUNT_BUCKETS, LENGTH_BUCKETS, submodels
from shopfuse.ranking.text_heads import text_heads
from shopfuse.release.manifest import ModelVersion
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.triton.ensembles import ROLES, ensemble_config
from shopfuse_exporters.triton.model_config import Deployment, config_text, model_config, warmup_files
from shopfuse_exporters.triton.targets import CAPABILITIES, TARGETS, TENSORRT, profiles
from tests.exporters.triton.parsed_config import parse_config

DECLARED = submodels(384) | text_heads(384, {"category_head": 54, "sentiment_head": 3})
VERSIONS = {name: ModelVersion(name, number, "fp32", "0" * 64) for number, name in enumerate(DECLARED, 1)}


@pytest.mark.parametrize("name", DECLARED)
def test_a_config_parses_back_and_carries_the_declared_tensors(name: str) -> None:
    config = model_config(DECLARED[name])

    parsed = parse_config(config_text(config))
    assert parsed == config
    assert (parsed.name, parsed.backend, parsed.max_batch_size) == (name, "onnxruntime", DECLARED[name].max_batch)
    declared = [tuple(-1 if isinstance(dim, str) else dim for dim in tensor.dims) for tensor in DECLARED[name].inputs]
    assert [tuple(tensor.dims) for tensor in parsed.input] == declared
    assert parsed.version_policy.WhichOneof("policy_choice") == "all"
    assert parsed.HasField("dynamic_batching")


def test_waiting_is_bounded_and_nothing_waits_for_company() -> None:
    batching = model_config(DECLARED["fusion_ranker"]).dynamic_batching

    assert batching.max_queue_delay_microseconds == 0
    assert 0 < batching.default_queue_policy.default_timeout_microseconds <= 1_000_000


@pytest.mark.parametrize(
    ("name", "axis", "buckets"),
    [("text_encoder", "length", LENGTH_BUCKETS), ("fusion_ranker", "candidates", COUNT_BUCKETS)],
)
def test_every_bucket_is_warmed_and_so_is_the_largest_batch(name: str, axis: str, buckets: tuple[int, ...]) -> None:
    config = model_config(DECLARED[name])

    names = [warmup.name for warmup in config.model_warmup]
    assert names == [f"batch_1_{axis}_{size}" for size in buckets] + [
        f"batch_{DECLARED[name].max_batch}_{axis}_{buckets[0]}"
    ]


@pytest.mark.parametrize("name", DECLARED)
def test_warm_up_masks_are_ones_in_files_of_the_right_size(name: str) -> None:
    files = warmup_files(DECLARED[name])
    widths = {"FP32": 4, "INT64": 8}

    for warmup in model_config(DECLARED[name]).model_warmup:
        assert set(warmup.inputs) == {tensor.name for tensor in DECLARED[name].inputs}
        for tensor in DECLARED[name].inputs:
            sample = warmup.inputs[tensor.name]
            if sample.input_data_file:
                assert len(files[sample.input_data_file]) == widths[tensor.dtype] * int(np.prod(sample.dims))
                assert any(files[sample.input_data_file])
            else:
                assert "mask" not in tensor.name


def test_instances_and_threads_are_parameters() -> None:
    config = model_config(
        DECLARED["text_encoder"], deployment=Deployment(instances=3, threads=4, max_queue_delay_us=500)
    )

    assert config.instance_group[0].count == 3
    assert config.parameters["intra_op_thread_count"].string_value == "4"
    assert config.dynamic_batching.max_queue_delay_microseconds == 500


@pytest.mark.parametrize("role", ROLES)
def test_every_step_of_an_ensemble_is_pinned_and_fed(role: str) -> None:
    config = ensemble_config(role, "r7", DECLARED, VERSIONS)

    assert parse_config(config_text(config)) == config
    assert config.name == f"{role}_r7"
    known = {tensor.name for tensor in config.input}
    for step in config.ensemble_scheduling.step:
        assert step.model_version == VERSIONS[step.model_name].version
        assert set(step.input_map.values()) <= known
        assert config.max_batch_size <= DECLARED[step.model_name].max_batch
        known |= set(step.output_map.values())
    assert {tensor.name for tensor in config.output} <= known
    assert not {tensor.name for tensor in config.input} & {tensor.name for tensor in config.output}


def test_rank_by_vector_takes_the_query_vector_that_rank_computes() -> None:
    by_text, by_vector = (ensemble_config(role, "r1", DECLARED, VERSIONS) for role in ("rank", "rank_by_vector"))

    assert "query_vector" not in {tensor.name for tensor in by_text.input}
    assert {tensor.name for tensor in by_vector.input} == (
        {tensor.name for tensor in by_text.input} - {"input_ids", "attention_mask"} | {"query_vector"}
    )


def test_without_an_image_encoder_items_bring_their_image_embedding() -> None:
    without = {name: version for name, version in VERSIONS.items() if name != "image_encoder"}

    full = {tensor.name for tensor in ensemble_config("encode_item", "r1", DECLARED, VERSIONS).input}
    lean = {tensor.name for tensor in ensemble_config("encode_item", "r1", DECLARED, without).input}
    assert full ^ lean == {"pixels", "image_embedding"}


def accelerators(config: ModelConfig) -> dict[str, dict[str, str]]:
    listed = config.optimization.execution_accelerators.gpu_execution_accelerator
    return {accelerator.name: dict(accelerator.parameters) for accelerator in listed}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", DECLARED)
def test_targets_differ_in_how_and_not_in_what(name: str, target: str) -> None:
    config, on_cpu = (model_config(DECLARED[name], one) for one in (target, "cpu"))

    assert parse_config(config_text(config)) == config
    for field in ("name", "max_batch_size", "input", "output", "version_policy", "dynamic_batching", "model_warmup"):
        assert getattr(config, field) == getattr(on_cpu, field)
    [group] = config.instance_group
    kinds = {"cpu": group.KIND_CPU, "gpu-ort": group.KIND_GPU, "tensorrt": group.KIND_GPU}
    assert group.kind == kinds.get(target, group.KIND_MODEL)  # with KIND_MODEL the backend chooses


@pytest.mark.parametrize("name", DECLARED)
def test_the_cpu_is_the_default_and_knows_nothing_of_gpus(name: str) -> None:
    config = model_config(DECLARED[name], "cpu")

    assert config == model_config(DECLARED[name])
    assert not config.HasField("optimization")
    assert list(config.parameters) == ["intra_op_thread_count"]


# What triton-inference-server/onnxruntime_backend reads; it refuses to load a model with any other.
KNOWN_OPTIONS = {
    "precision_mode",
    "max_workspace_size_bytes",
    "trt_layer_norm_fp32_fallback",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_engine_cache_prefix",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_profile_max_shapes",
}


@pytest.mark.parametrize("name", DECLARED)
def test_gpu_ort_tells_tensorrt_every_shape_and_falls_back_to_cuda(name: str) -> None:
    declaration = DECLARED[name]
    config = model_config(declaration, "gpu-ort", onnx_sha256="ab" * 32)

    options = accelerators(config)
    assert config.backend == "onnxruntime"
    assert list(options) == ["tensorrt", "cuda"]  # in this order they are asked
    assert options["tensorrt"].keys() == KNOWN_OPTIONS
    largest = {axis: sizes[-1] for axis, sizes in declaration.buckets.items()}
    for end, batch, axes in (("min", 1, dict.fromkeys(largest, 1)), ("max", declaration.max_batch, largest)):
        expected = [f"{one.name}:{'x'.join(map(str, one.shape(batch, axes)))}" for one in declaration.inputs]
        assert options["tensorrt"][f"trt_profile_{end}_shapes"].split(",") == expected
    assert options["cuda"] == {"use_tf32": "0"}


def test_engines_of_other_weights_are_never_shared() -> None:
    first, second = (
        accelerators(model_config(DECLARED["query_tower"], "gpu-ort", onnx_sha256=digest * 64)) for digest in "ab"
    )
    without = accelerators(model_config(DECLARED["query_tower"], "gpu-ort"))

    assert first["tensorrt"]["trt_engine_cache_prefix"] != second["tensorrt"]["trt_engine_cache_prefix"]
    assert not [option for option in without["tensorrt"] if "cache" in option]


def test_engine_precision_is_that_of_the_file() -> None:
    modes = {
        precision: accelerators(model_config(DECLARED["query_tower"], "gpu-ort", precision=precision))
        for precision in ("fp32", "fp16", "int8_static")
    }

    assert [options["tensorrt"]["precision_mode"] for options in modes.values()] == ["FP32", "FP16", "INT8"]
    with pytest.raises(ExportError, match="query_tower: precision 'int8' is for CPUs"):
        model_config(DECLARED["query_tower"], "gpu-ort", precision="int8")


@pytest.mark.parametrize("name", DECLARED)
def test_plans_are_chosen_by_capability_and_have_all_their_profiles(name: str) -> None:
    config = model_config(DECLARED[name], "tensorrt")

    assert config.backend == "tensorrt"
    assert set(config.cc_model_filenames) == set(CAPABILITIES)
    assert config.cc_model_filenames["9.0"] == f"model.sm90.trt{TENSORRT}.plan"
    assert config.default_model_filename == ""  # another GPU's plan is never tried
    assert list(config.instance_group[0].profile) == [str(at) for at in range(len(profiles(DECLARED[name])))]


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ExportError, match="target 'cuda': expected one of cpu, gpu-ort, tensorrt"):
        model_config(DECLARED["query_tower"], "cuda")
