"""config.pbtxt says to Triton what the declaration says, parsed back through Triton's own message."""

from __future__ import annotations

import numpy as np
import pytest

from shopfuse.exporters.ensemble_config import ROLES, ensemble_config
from shopfuse.exporters.model_config import Deployment, config_text, model_config, parse_config, warmup_files
from shopfuse.ranking.tensors import COUNT_BUCKETS, LENGTH_BUCKETS, submodels

DECLARED = submodels(384)
VERSIONS = {name: number for number, name in enumerate(DECLARED, 1)}


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
    config = model_config(DECLARED["text_encoder"], Deployment(instances=3, threads=4, max_queue_delay_us=500))

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
        assert step.model_version == VERSIONS[step.model_name]
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
