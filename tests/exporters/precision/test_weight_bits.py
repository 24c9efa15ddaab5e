"""Whether this processor multiplies all eight bits of a weight, and what becomes of weights where it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from shopfuse.core.progress import silent
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.precision import int8 as precision_int8
from shopfuse_exporters.precision.calibration import calibration_batches
from shopfuse_exporters.precision.int8 import to_int8
from shopfuse_exporters.precision.sensitivity import Agreement
from shopfuse_exporters.precision.weight_bits import weight_bits
from tests.exporters.precision.test_sensitivity import DECLARATION, Fragile, rows

CPU = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPU.is_file() or "avx2" not in CPU.read_text(), reason="tells its instructions on x86 Linux")
def test_processors_without_vnni_multiply_seven_bits() -> None:
    flags = CPU.read_text().split("flags", 1)[1].split("\n", 1)[0].split()

    assert weight_bits() == (8 if {"avx512_vnni", "avx_vnni"} & set(flags) else 7)


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (7, 64)])
def test_weights_use_no_more_than_those_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, largest: int
) -> None:
    monkeypatch.setattr(precision_int8, "weight_bits", lambda: bits)
    monkeypatch.setattr(precision_int8, "BOUNDS", {"int8_static": Agreement(0.0, -1.0)})

    fp32 = export_submodel(DECLARATION, Fragile(False), tmp_path / "model.onnx")

    quantised = to_int8(DECLARATION, fp32, "int8_static", calibration_batches(DECLARATION, rows()), silent)

    int8 = [tensor for tensor in quantised.model.graph.initializer if tensor.data_type == TensorProto.INT8]
    weights = [numpy_helper.to_array(tensor).astype(np.int16) for tensor in int8 if len(tensor.dims) == 2]
    assert max(int(np.abs(weight).max()) for weight in weights) == largest
