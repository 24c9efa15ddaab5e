"""Ensembles: chains of submodels that Triton runs in one round trip, each step pinned to the version of its release.

An ensemble has one config for all its versions, so the release is part of its name. Tensors are joined by their names:
what no earlier step gives is an input of the ensemble.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tritonclient.grpc import model_config_pb2 as pb

from shopfuse.ranking.tensors import Submodel, Tensor
from shopfuse.ranking.text_heads import CLASSIFY_TEXT, HEADS, OUTPUTS
from shopfuse.release.manifest import ModelVersion
from shopfuse_exporters.triton.model_config import model_input, model_output

# role -> (steps in order, outputs)
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "encode_query": (("text_encoder", "query_tower"), ("text_embedding", "query_vector")),
    "encode_image": (("image_encoder", "image_tower"), ("image_embedding", "image_vector")),
    "encode_item": (("text_encoder", "image_encoder", "item_tower"), ("item_vector", "item_modality_vectors")),
    "rank": (
        ("text_encoder", "query_tower", "user_tower", "fusion_ranker"),
        ("task_probabilities", "modality_weights", "query_vector", "user_vector"),
    ),
    "rank_by_vector": (
        ("user_tower", "fusion_ranker"),
        ("task_probabilities", "modality_weights", "user_vector"),
    ),
    CLASSIFY_TEXT: (("text_encoder", *HEADS), tuple(OUTPUTS.values())),
}


def roles_of(models: Collection[str]) -> list[str]:
    """The roles that a release of these submodels has: without an image encoder there is no encode_image, without
    any head no classify_text."""
    return [role for role, (steps, _) in ROLES.items() if any(step in models for step in _last_steps(role, steps))]


def _last_steps(role: str, steps: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that a role is there for; any one is enough."""
    return HEADS if role == CLASSIFY_TEXT else steps[-1:]


def ensemble_name(role: str, release_id: str) -> str:
    return f"{role}_{release_id}"


def ensemble_config(
    role: str, release_id: str, declared: Mapping[str, Submodel], versions: Mapping[str, ModelVersion]
) -> Any:
    """The ModelConfig message of one ensemble. Steps that the release has no version of are left out: without an
    image encoder, encode_item takes an image_embedding."""
    step_names, output_names = ROLES[role]
    steps = [declared[name] for name in step_names if name in versions]
    inputs, outputs = joined_tensors(steps)
    config = pb.ModelConfig(
        name=ensemble_name(role, release_id),
        platform="ensemble",
        max_batch_size=min(step.max_batch for step in steps),
    )
    config.input.extend(model_input(tensor) for tensor in inputs)
    config.output.extend(model_output(outputs[name]) for name in output_names if name in outputs)
    config.version_policy.all.SetInParent()
    for step in steps:
        _add_step(config, step, versions[step.name])
    return config


def joined_tensors(steps: Sequence[Submodel]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """(the inputs that no earlier step gives, each once, everything that the steps give by name)."""
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for step in steps:
        inputs |= {tensor.name: tensor for tensor in step.inputs if tensor.name not in outputs}
        outputs |= {tensor.name: tensor for tensor in step.outputs}
    return list(inputs.values()), outputs


def _add_step(config: Any, step: Submodel, version: ModelVersion) -> None:
    added = config.ensemble_scheduling.step.add(model_name=version.model, model_version=version.version)
    for tensor in step.inputs:
        added.input_map[tensor.name] = tensor.name
    for tensor in step.outputs:
        added.output_map[tensor.name] = tensor.name
