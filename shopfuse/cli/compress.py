"""`shopfuse compress`: a smaller text encoder made from the shop's own, to be named in shop.toml afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.compression.compress import Compressed, Effort, distill_encoder, prune_encoder
from shopfuse_exporters.encoder_comparison import LENGTH, EncoderSize, encoder_sizes

app = typer.Typer(no_args_is_help=True, help="Make a smaller text encoder from the shop's own.", rich_markup_mode=None)

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the result: new, or an earlier result.")]
EpochsOption = Annotated[int, typer.Option(help="Most times each text is trained on; stops early.")]
ItemsOption = Annotated[int, typer.Option(help="Most items whose texts are trained on.")]
SeedOption = Annotated[int, typer.Option(help="The same seed, shop and machine give the same files.")]
KeepOption = Annotated[float, typer.Option(help="Share of every layer's feed-forward neurons to keep.")]
LayersOption = Annotated[int, typer.Option(help="Layers of the student, taken evenly from the shop's encoder.")]


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
    effort = Effort(epochs, items, seed)
    _compress(lambda shop, progress: prune_encoder(shop, folder, keep, effort, progress), workspace, folder, json)


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
    effort = Effort(epochs, items, seed)
    _compress(lambda shop, progress: distill_encoder(shop, folder, layers, effort, progress), workspace, folder, json)


def _compress(
    compress: Callable[[Workspace, Progress], Compressed], workspace: Path, folder: Path, as_json: bool
) -> None:
    with progress_bars() as progress:
        result = compress(Workspace.open(workspace), progress)
        teacher, student = encoder_sizes((result.teacher, result.student), progress)
    report(folder, result, (teacher, student), as_json)


def report(folder: Path, result: Compressed, sizes: tuple[EncoderSize, EncoderSize], as_json: bool) -> None:
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
