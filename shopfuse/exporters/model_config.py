"""config.pbtxt of one submodel, from its declaration: what Triton must know to batch, bound and warm it.

Written through Triton's own protobuf message. The same text serves NVIDIA's container and the local Triton.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as pb

from shopfuse.exporters.sample_inputs import is_mask
from shopfuse.ranking.tensors import NUMPY_TYPE, DataType, Submodel, Tensor

BACKEND: Final = "onnxruntime"
WARMUP_FOLDER: Final = "warmup"
# What waits longer has lost its caller: the gateway's deadlines are shorter, and a request may only shorten this.
# Time bounds the queue, not max_queue_size: before 26.02 Triton could hang an ensemble whose step was refused for it.
LONGEST_WAIT_US: Final = 1_000_000
DATA_TYPE: dict[DataType, Any] = {
    "FP32": pb.TYPE_FP32,
    "FP16": pb.TYPE_FP16,
    "INT64": pb.TYPE_INT64,
    "UINT8": pb.TYPE_UINT8,
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a model runs; the defaults suit small models on few cores, where instances and not threads fill the cores."""

    instances: int = 1
    threads: int = 1  # inside one operator
    max_queue_delay_us: int = 0  # 0: batch what waits anyway, never wait for company


DEPLOYMENTS = {"text_encoder": Deployment(instances=2), "fusion_ranker": Deployment(instances=2)}


def model_config(declaration: Submodel, deployment: Deployment | None = None) -> Any:
    """The ModelConfig message of one plain model."""
    deployment = deployment or DEPLOYMENTS.get(declaration.name, Deployment())
    config = pb.ModelConfig(name=declaration.name, backend=BACKEND, max_batch_size=declaration.max_batch)
    config.input.extend(model_input(tensor) for tensor in declaration.inputs)
    config.output.extend(model_output(tensor) for tensor in declaration.outputs)
    config.version_policy.all.SetInParent()
    config.instance_group.add(count=deployment.instances, kind=pb.ModelInstanceGroup.KIND_CPU)
    _set_batching(config.dynamic_batching, deployment)
    config.parameters["intra_op_thread_count"].string_value = str(deployment.threads)
    config.response_cache.enable = False
    config.model_warmup.extend(_warmups(declaration))
    return config


def model_input(tensor: Tensor) -> Any:
    return pb.ModelInput(name=tensor.name, data_type=DATA_TYPE[tensor.dtype], dims=_dims(tensor))


def model_output(tensor: Tensor) -> Any:
    return pb.ModelOutput(name=tensor.name, data_type=DATA_TYPE[tensor.dtype], dims=_dims(tensor))


def _dims(tensor: Tensor) -> list[int]:
    """Without the batch; -1 for a dynamic axis."""
    return [-1 if isinstance(dim, str) else dim for dim in tensor.dims]


def _set_batching(batching: Any, deployment: Deployment) -> None:
    batching.max_queue_delay_microseconds = deployment.max_queue_delay_us
    policy = batching.default_queue_policy
    policy.timeout_action = pb.ModelQueuePolicy.REJECT
    policy.default_timeout_microseconds = LONGEST_WAIT_US
    policy.allow_timeout_override = True


def _warmups(declaration: Submodel) -> list[Any]:
    """Batch 1 at every bucket, and the largest batch at the smallest: loading must stay a matter of seconds."""
    sizes = [{axis: size} for axis, edges in declaration.buckets.items() for size in edges] or [{}]
    runs = [(1, axes) for axes in sizes] + [(declaration.max_batch, sizes[0])]
    return [_warmup(declaration, batch, axes) for batch, axes in runs]


def _warmup(declaration: Submodel, batch: int, axes: dict[str, int]) -> Any:
    name = "_".join([f"batch_{batch}", *(f"{axis}_{size}" for axis, size in axes.items())])
    warmup = pb.ModelWarmup(name=name, batch_size=batch, count=1)
    for tensor in declaration.inputs:
        dims = tensor.shape(batch, axes)[1:]
        sample = warmup.inputs[tensor.name]
        sample.data_type = DATA_TYPE[tensor.dtype]
        sample.dims.extend(dims)
        # A mask of zeros would be a request in which nothing is real, which no caller sends (and a mean over it 0/0).
        if is_mask(tensor):
            sample.input_data_file = _ones_file(tensor, dims)
        else:
            sample.zero_data = True
    return warmup


def _ones_file(tensor: Tensor, dims: tuple[int, ...]) -> str:
    return f"ones_{tensor.dtype}_{int(np.prod(dims))}"


def warmup_files(declaration: Submodel) -> dict[str, bytes]:
    """The contents of the files in WARMUP_FOLDER that the config's warm-up requests name."""
    files = {}
    for axes in [{axis: size} for axis, edges in declaration.buckets.items() for size in edges] or [{}]:
        for tensor in filter(is_mask, declaration.inputs):
            dims = tensor.shape(1, axes)[1:]
            ones: NDArray[np.generic] = np.ones(dims, NUMPY_TYPE[tensor.dtype])
            files[_ones_file(tensor, dims)] = ones.tobytes()
    return files


def config_text(config: Any) -> str:
    """The text of config.pbtxt."""
    text: str = text_format.MessageToString(config)
    return text


def parse_config(text: str) -> Any:
    """The ModelConfig message of a config.pbtxt."""
    return text_format.Parse(text, pb.ModelConfig())
