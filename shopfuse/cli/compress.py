"""`shopfuse compress`: a smaller text encoder made from the shop's own, to be named in shop.toml afterwards."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import LENGTH_BUCKETS, submodels
from shopfuse.training.compression.compress import Compressed, Effort, distill_encoder, prune_encoder
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.sample_inputs import random_inputs

app = typer.Typer(no_args_is_help=True, help="Make a smaller text encoder from the shop's own.", rich_markup_mode=None)

LENGTH = LENGTH_BUCKETS[0]  # tokens of a query
ROUNDS, WARM_UP = 200, 20

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the result: new, or an earlier result.")]
EpochsOption = Annotated[int, typer.Option(help="Most times each text is trained on; stops early.")]
ItemsOption = Annotated[int, typer.Option(help="Most items whose texts are trained on.")]
SeedOption = Annotated[int, typer.Option(help="The same seed, shop and machine give the same files.")]
KeepOption = Annotated[float, typer.Option(help="Share of every layer's feed-forward neurons to keep.")]
LayersOption = Annotated[int, typer.Option(help="Layers of the student, taken evenly from the shop's encoder.")]


@dataclass(frozen=True, slots=True)
class Size:
    """An encoder exported in fp32 and run by onnxruntime: one thread, one query of LENGTH tokens."""

    megabytes: float
    milliseconds: float


@app.command()
def prune(
    workspace: WorkspaceOption,
    folder: OutOption,
    keep: KeepOption = 0.5,
    epochs: EpochsOption = 2,
    items: ItemsOption = 12_000,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Remove the feed-forward neurons that matter least to the shop's texts, and train the rest to make up for them.

    shopfuse compress prune -w myshop --out encoders/pruned --keep 0.5
    """
    with progress_bars() as progress:
        result = prune_encoder(Workspace.open(workspace), folder, keep, Effort(epochs, items, seed), progress)
        sizes = measure(result, progress)
    report(folder, result, sizes, json)


@app.command()
def distill(
    workspace: WorkspaceOption,
    folder: OutOption,
    layers: LayersOption = 3,
    epochs: EpochsOption = 3,
    items: ItemsOption = 12_000,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Train an encoder of fewer layers to give the vectors of the shop's own.

    shopfuse compress distill -w myshop --out encoders/distilled --layers 3
    """
    with progress_bars() as progress:
        result = distill_encoder(Workspace.open(workspace), folder, layers, Effort(epochs, items, seed), progress)
        sizes = measure(result, progress)
    report(folder, result, sizes, json)


def measure(result: Compressed, progress: Progress) -> tuple[Size, Size]:
    """(teacher, student), timed in turns so that what else the machine does slows both alike."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in ("teacher", "student")]
        models = [_exported(*pair) for pair in zip((result.teacher, result.student), paths, strict=True)]
        times = _times_in_turns(models, progress)
        teacher, student = (
            Size(path.stat().st_size / 1e6, median(own)) for path, own in zip(paths, times, strict=True)
        )
    return teacher, student


def _exported(encoder: LoadedTextEncoder, path: Path) -> OnnxModel:
    declaration = submodels(encoder.text_dim)["text_encoder"]
    return OnnxModel(declaration, export_submodel(declaration, encoder.module, path))


def _times_in_turns(models: list[OnnxModel], progress: Progress) -> list[list[float]]:
    """Milliseconds of each call of each model."""
    inputs = random_inputs(models[0].declaration, 1, {"length": LENGTH}, np.random.default_rng(0))
    times: list[list[float]] = [[] for _ in models]
    for turn in range(WARM_UP + ROUNDS):
        for model, own in zip(models, times, strict=True):
            start = time.perf_counter()
            model.run(inputs)
            if turn >= WARM_UP:
                own.append(1e3 * (time.perf_counter() - start))
        progress("time both", turn + 1, WARM_UP + ROUNDS)
    return times


def report(folder: Path, result: Compressed, sizes: tuple[Size, Size], as_json: bool) -> None:
    teacher, student = sizes
    metrics = result.meta["metrics"]
    ratio = teacher.milliseconds / student.milliseconds
    if as_json:
        row = {name: metrics[name] for name in ("cosine_mean", "cosine_min", "overlap@10")}
        row |= {"megabytes": student.megabytes, "ms": student.milliseconds, "speed_ratio": ratio}
        print_json({"rows": {result.meta["compression"]: row}, "folder": str(folder)})
        return
    rows = [
        [name, layers, ffn, round(size.megabytes, 1), round(size.milliseconds, 2)]
        for name, layers, ffn, size in zip(
            ("teacher", str(folder)), result.meta["layers"], result.meta["ffn"], sizes, strict=True
        )
    ]
    print_table(f"fp32, one thread, {LENGTH} tokens", ("encoder", "layers", "ffn", "MB", "ms"), rows)
    out.print(
        f"{ratio:.2f} x faster; on held-out texts: cosine to the teacher {metrics['cosine_mean']:.4f} on average, "
        f"{metrics['cosine_min']:.4f} at worst, {metrics['overlap@10']:.1%} of the 10 nearest items the same"
    )
    out.print(f"to use it: text_encoder = \"{folder.absolute()}\" in shop.toml, then 'shopfuse build'")
