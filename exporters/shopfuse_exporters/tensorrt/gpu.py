"""Which GPU this is: a plan runs on the model of GPU that it was built on, with the TensorRT that built it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shopfuse_exporters.errors import ExportError


@dataclass(frozen=True, slots=True)
class Gpu:
    """`capability` is the compute capability such as "9.0", `cuda` the runtime's version such as "13.4"."""

    name: str
    capability: str
    cuda: str = ""


def local_gpu(cudart: Any) -> Gpu:
    """The first GPU, through cuda.bindings.runtime. Raises ExportError where there is none."""
    properties = checked(cudart.cudaGetDeviceProperties(0), "no GPU can be used")
    version = checked(cudart.cudaRuntimeGetVersion(), "CUDA's version cannot be read")
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    return Gpu(
        name=name.rstrip("\0"),
        capability=f"{properties.major}.{properties.minor}",
        cuda=f"{version // 1000}.{version % 1000 // 10}",
    )


def checked(answer: tuple[Any, ...], failure: str) -> Any:
    """What a CUDA call gave after its error code; raises ExportError saying `failure` where the code is not 0."""
    code, *values = answer
    if int(code) != 0:
        raise ExportError(f"{failure}: {getattr(code, 'name', code)}")
    return values[0] if values else None
