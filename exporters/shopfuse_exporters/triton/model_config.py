"""config.pbtxt of one submodel, from its declaration: what Triton must know to batch, bound and warm it.

Written through Triton's own protobuf message. The text for the CPU serves NVIDIA's container and the local Triton;
the texts for GPUs need the container. What its backends read is in their READMEs (triton-inference-server,
onnxruntime_backend and tensorrt_backend); an option that they do not know stops the load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as pb

from shopfuse.ranking.tensors import NUMPY_TYPE, DataType, Submodel, Tensor
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.sample_inputs import is_mask
from shopfuse_exporters.triton.targets import (
    CAPABILITIES,
    CPU,
    ENGINE_RECORD,
    ENGINES,
    GPU_ORT,
    Profile,
    check_target,
    plan_file,
    profiles,
    whole_profile,
)

BACKEND: Final = "onnxruntime"
PLAN_BACKEND: Final = "tensorrt"
WARMUP_FOLDER: Final = "warmup"
# What waits longer has lost its caller: the gateway's deadlines are shorter, and a request may only shorten this.
# Time bounds the queue, not max_queue_size: before 26.02 Triton could hang an ensemble whose step was refused for it.
LONGEST_WAIT_US: Final = 1_000_000
WORKSPACE_BYTES: Final = 1 << 30  # what TensorRT may use beside weights and tensors
ENGINE_CACHE: Final = "/var/cache/shopfuse/tensorrt"  # a volume: a pod without one builds its engines at every start
ENGINE_PRECISION = {"fp32": "FP32", "fp16": "FP16", "int8_static": "INT8"}  # as onnxruntime_backend names them
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
ON_GPU = Deployment()  # one instance keeps a GPU busy; a second one costs the memory of another engine


def model_config(
    declaration: Submodel,
    target: str = "cpu",
    deployment: Deployment | None = None,
    *,
    precision: str = "fp32",
    onnx_sha256: str = "",
) -> Any:
    """The ModelConfig message of one plain model.

    For gpu-ort, `precision` is the ONNX file's, and `onnx_sha256` turns the cache of its engines on: without it Triton
    builds them at every load. Raises ExportError for a target or precision that there is not.
    """
    check_target(target)
    deployment = deployment or (DEPLOYMENTS.get(declaration.name, Deployment()) if target == CPU else ON_GPU)
    config = _common_config(declaration, deployment)
    if target == CPU:
        config.parameters["intra_op_thread_count"].string_value = str(deployment.threads)
    elif target == GPU_ORT:
        _accelerate(config, declaration, precision, onnx_sha256)
    elif target == ENGINES:
        _serve_engine(config)
    else:
        _serve_plans(config, declaration)
    return config


def _common_config(declaration: Submodel, deployment: Deployment) -> Any:
    """All that does not depend on the target, and the CPU's backend and instances."""
    config = pb.ModelConfig(name=declaration.name, backend=BACKEND, max_batch_size=declaration.max_batch)
    config.input.extend(model_input(tensor) for tensor in declaration.inputs)
    config.output.extend(model_output(tensor) for tensor in declaration.outputs)
    config.version_policy.all.SetInParent()
    config.instance_group.add(count=deployment.instances, kind=pb.ModelInstanceGroup.KIND_CPU)
    _set_batching(config.dynamic_batching, deployment)
    config.response_cache.enable = False
    config.model_warmup.extend(_warmups(declaration))
    return config


def _accelerate(config: Any, declaration: Submodel, precision: str, onnx_sha256: str) -> None:
    """onnxruntime on a GPU: TensorRT's provider first, CUDA's for what it cannot run."""
    config.instance_group[0].kind = pb.ModelInstanceGroup.KIND_GPU
    accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
    accelerators.add(
        name="tensorrt",
        parameters={
            "precision_mode": _engine_precision(declaration, precision),
            "max_workspace_size_bytes": str(WORKSPACE_BYTES),
            # Sums of squares overflow in half precision.
            "trt_layer_norm_fp32_fallback": "1",
            **_profile_options(whole_profile(declaration)),
            **_engine_cache(declaration, onnx_sha256),
        },
    )
    accelerators.add(name="cuda", parameters={"use_tf32": "0"})  # TF32 rounds fp32 to 10 bits: parity ends there
    # These belong to CUDA's provider, but the backend overwrites those above with its defaults unless they are here:
    # search no convolution algorithms at load (heuristic), grow memory by what is asked for, not to powers of two.
    config.parameters["cudnn_conv_algo_search"].string_value = "1"
    config.parameters["arena_extend_strategy"].string_value = "1"


def _engine_precision(declaration: Submodel, precision: str) -> str:
    if precision not in ENGINE_PRECISION:
        raise ExportError(
            f"{declaration.name}: precision {precision!r} is for CPUs; on a GPU one of {', '.join(ENGINE_PRECISION)}"
        )
    return ENGINE_PRECISION[precision]


def _profile_options(profile: Profile) -> dict[str, str]:
    """With the shapes known at load, one engine serves all of them; else each new shape stops serving for a rebuild."""
    return {
        f"trt_profile_{end}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, getattr(shapes, field)))}" for name, shapes in profile.items()
        )
        for end, field in (("min", "least"), ("opt", "tuned"), ("max", "most"))
    }


def _engine_cache(declaration: Submodel, onnx_sha256: str) -> dict[str, str]:
    """The cache's own key is made of the file's name and its tensors' names, not of weights: two trainings of one model
    would share an engine, and the second would answer with the first one's weights. So the sha256 is in the prefix."""
    if not onnx_sha256:
        return {}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": ENGINE_CACHE,
        "trt_engine_cache_prefix": f"{declaration.name}_{onnx_sha256[:16]}",
        "trt_timing_cache_enable": "1",  # timings of kernels, not weights: all models share them
        "trt_timing_cache_path": ENGINE_CACHE,
    }


def _serve_plans(config: Any, declaration: Submodel) -> None:
    """TensorRT's backend: one plan for each kind of GPU, all its profiles in every instance.

    There is no default_model_filename: on a GPU that is not listed the load fails, instead of trying another's plan.
    The backend runs a batch with the profile whose tuned shape is the nearest of those that can hold it.
    """
    config.backend = PLAN_BACKEND
    group = config.instance_group[0]
    group.kind = pb.ModelInstanceGroup.KIND_GPU
    group.profile.extend(str(index) for index in range(len(profiles(declaration))))
    for capability in CAPABILITIES:
        config.cc_model_filenames[capability] = plan_file(capability)


def _serve_engine(config: Any) -> None:
    """Our onnxruntime backend: the engine that the record names where it fits, else the ONNX file on CUDA or the CPU.

    KIND_MODEL leaves the choice to the backend: with KIND_GPU, Triton would refuse the model where there is none.
    """
    config.instance_group[0].kind = pb.ModelInstanceGroup.KIND_MODEL
    config.parameters["engine"].string_value = ENGINE_RECORD


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
