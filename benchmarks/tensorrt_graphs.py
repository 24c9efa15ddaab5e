"""What TensorRT makes of every model of a release, in every precision for GPUs. No GPU is needed.

    python benchmarks/tensorrt_graphs.py demo/releases/r1
    python benchmarks/tensorrt_graphs.py demo/releases/r1 --gpu sm89

The release must be one in fp32. Its ONNX files are converted as `shopfuse build --target tensorrt-rtx` converts them,
with the rows of its golden cases to calibrate on, and built into engines that are thrown away.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from shopfuse.cli.console import print_table
from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import model_file
from shopfuse.release.verify import read_manifest
from shopfuse_exporters.errors import PrecisionError
from shopfuse_exporters.precision.convert import convert
from shopfuse_exporters.tensorrt.plan_verification import golden_inputs
from shopfuse_exporters.tensorrt.release_check import check_model
from shopfuse_exporters.tensorrt.rtx import Rtx, open_rtx
from shopfuse_exporters.triton.targets import GPU_PRECISIONS

ARCHITECTURES = ["sm80", "sm86", "sm89", "sm120"]


def rows_of(golden: Path, declaration: Submodel) -> Arrays:
    """[n, ...] by input: the golden cases of the bucket that most of them are in."""
    by_shapes: dict[tuple[tuple[int, ...], ...], list[Arrays]] = {}
    for case in golden_inputs(golden, declaration).values():
        by_shapes.setdefault(tuple(values.shape for values in case.values()), []).append(case)
    cases = max(by_shapes.values(), key=len)
    return {tensor.name: np.concatenate([case[tensor.name] for case in cases]) for tensor in declaration.inputs}


def checked(declaration: Submodel, fp32: Path, precision: str, rows: Arrays, rtx: Rtx) -> list[str]:
    """A row of the table."""
    with TemporaryDirectory() as folder:
        try:
            path = convert(declaration, fp32, precision, rows, Path(folder, "model.onnx"), for_gpu=True)
        except PrecisionError as error:
            return [declaration.name, precision, f"not converted: {error}", "", ""]
        result = check_model(declaration, path, precision, rtx)
    return [
        declaration.name,
        precision,
        result.refused or "built",
        f"{result.seconds:.1f}",
        f"{result.bytes / 1e6:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path, help="folder of a release in fp32")
    parser.add_argument("--gpu", action="append", help=f"architecture; several times for several ({ARCHITECTURES})")
    options = parser.parse_args()
    manifest, rtx = read_manifest(options.release), open_rtx(options.gpu or ARCHITECTURES)
    if other := sorted(name for name, model in manifest.models.items() if model.precision != "fp32"):
        parser.error(f"{options.release} is not in fp32: {', '.join(other)}")
    declared = manifest.declared()
    rows = {name: rows_of(ReleaseLayout(options.release).golden, declared[name]) for name in manifest.models}
    table = [
        checked(declared[name], options.release / model_file(model), precision, rows[name], rtx)
        for name, model in manifest.models.items()
        for precision in GPU_PRECISIONS
    ]
    title = f"TensorRT for RTX {rtx.version}, for {', '.join(rtx.architectures)}"
    print_table(title, ("model", "precision", "engine", "seconds", "MB"), table)


if __name__ == "__main__":
    main()
