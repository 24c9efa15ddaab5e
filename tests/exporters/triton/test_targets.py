"""The shapes that GPUs are told of cover exactly what the declaration allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shopfuse.ranking.tensors import Submodel, submodels
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.triton.targets import CAPABILITIES, TARGETS, check_target, plan_file, profiles, whole_profile

DECLARED = submodels(384)


def axis_sizes(declaration: Submodel) -> list[dict[str, int]]:
    """Every size of the dynamic axis that a caller may send."""
    return [{axis: size} for axis, edges in declaration.buckets.items() for size in range(1, edges[-1] + 1)] or [{}]


@pytest.mark.parametrize("name", DECLARED)
def test_every_shape_has_exactly_one_profile(name: str) -> None:
    declaration = DECLARED[name]

    for sizes in axis_sizes(declaration):
        for batch in (1, declaration.max_batch):
            holding = [
                profile
                for profile in profiles(declaration)
                if all(
                    low <= size <= high
                    for tensor in declaration.inputs
                    for low, size, high in zip(
                        profile[tensor.name].least,
                        tensor.shape(batch, sizes),
                        profile[tensor.name].most,
                        strict=True,
                    )
                )
            ]
            assert len(holding) == 1, (sizes, batch)


@pytest.mark.parametrize("name", DECLARED)
def test_there_is_a_profile_for_each_bucket_tuned_to_its_edge(name: str) -> None:
    declaration = DECLARED[name]
    by_bucket = profiles(declaration)

    edges = next(iter(declaration.buckets.values()), (0,))
    assert len(by_bucket) == len(edges)
    for edge, profile in zip(edges, by_bucket, strict=True):
        sizes = dict.fromkeys(declaration.buckets, edge)
        for tensor in declaration.inputs:
            shapes = profile[tensor.name]
            assert shapes.tuned == tensor.shape(8, sizes)
            assert shapes.most == tensor.shape(declaration.max_batch, sizes)
            assert all(
                low <= best <= high for low, best, high in zip(shapes.least, shapes.tuned, shapes.most, strict=True)
            )


@pytest.mark.parametrize("name", DECLARED)
def test_the_whole_profile_spans_all_of_them(name: str) -> None:
    declaration, whole = DECLARED[name], whole_profile(DECLARED[name])

    for tensor in declaration.inputs:
        every = [profile[tensor.name] for profile in profiles(declaration)]
        assert whole[tensor.name].least == min(shapes.least for shapes in every)
        assert whole[tensor.name].most == max(shapes.most for shapes in every)


def test_a_model_that_takes_few_rows_is_tuned_for_those() -> None:
    few = replace(DECLARED["query_tower"], max_batch=2)

    assert profiles(few)[0]["text_embedding"].tuned == (2, 384)


def test_plans_are_named_after_architecture_and_version() -> None:
    assert plan_file("9.0", "11.4") == "model.sm90.trt11.4.plan"
    assert len({plan_file(capability) for capability in CAPABILITIES}) == len(CAPABILITIES)


def test_unknown_targets_and_two_dynamic_axes_are_refused() -> None:
    for target in TARGETS:
        check_target(target)
    with pytest.raises(ExportError, match="'gpu': expected one of cpu, gpu-ort, tensorrt"):
        check_target("gpu")
    with pytest.raises(ExportError, match="query_tower: expected at most one dynamic axis"):
        profiles(replace(DECLARED["query_tower"], buckets={"length": (1,), "candidates": (2,)}))
