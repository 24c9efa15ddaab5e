"""TensorRT for RTX: which version builds our engines, for which GPU architectures, and what must be installed.

Unlike data-centre TensorRT it needs no GPU to build. Its parser is the real one, so it also says on any machine what
a TensorRT plan of the same file would be refused for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from shopfuse_exporters.errors import ExportError

# What the execution provider runs on (tensorrt_rtx_provider_options.h of onnxruntime-ep-nv-tensorrt-rtx 0.5): RTX 30
# and A10; RTX 40, L4 and L40S; RTX 50 and RTX PRO; DGX Spark. TensorRT builds for A100 (sm80) and T4 (sm75) too, which
# the provider leaves to the ONNX file.
SERVED: Final = ("sm86", "sm89", "sm120", "sm121")
USUAL: Final = ("sm86", "sm89", "sm120")


@dataclass(frozen=True, slots=True)
class Rtx:
    """TensorRT for RTX, and the architectures that engines are built for."""

    trt: Any
    architectures: tuple[str, ...]

    @property
    def version(self) -> str:
        return str(self.trt.__version__)


def open_rtx(architectures: Sequence[str] = USUAL) -> Rtx:
    """Raises ExportError where TensorRT for RTX is not installed or does not know one of the architectures."""
    try:
        import_module("tensorrt_rtx_libs")  # loads the libraries that the bindings refer to
        trt = import_module("tensorrt_rtx_bindings")
    except ImportError as error:
        raise ExportError(
            "engines are built by TensorRT for RTX, which is not installed: pip install "
            f"'shopfuse-exporters[tensorrt-rtx]' (NVIDIA's licence applies: see docs/targets.md) ({error})"
        ) from error
    known = [name.lower() for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    if unknown := [name for name in architectures if name not in known]:
        raise ExportError(
            f"GPU architecture {', '.join(unknown)}: TensorRT for RTX {trt.__version__} builds for {', '.join(known)}; "
            "for Hopper and data-centre Blackwell use --target gpu-ort or tensorrt"
        )
    return Rtx(trt, tuple(sorted(set(architectures), key=known.index)))
