"""`shopfuse build`: from the catalogue and events of a workspace to a verified and published release."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, progress_bars
from shopfuse.cli.options import GpuOption, JsonOption, PrecisionOption, WorkspaceOption, parse_precisions
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.endpoints import triton_control
from shopfuse.publishing.publish import publish
from shopfuse.release.manifest import Manifest
from shopfuse.training.data.cleaning import cleaning_lines
from shopfuse.training.distributed.messages import leading
from shopfuse.training.trainers.towers import TRAININGS
from shopfuse.training.trainers.tuned_settings import settings_of
from shopfuse_exporters.build import BuildOptions, build_workspace
from shopfuse_exporters.tensorrt.rtx import SERVED


class Fusion(StrEnum):
    """How channels and modalities become one score."""

    AUTO = "auto"
    WEIGHTED = "weighted"
    VOTE = "vote"
    SOFTMAX = "softmax"
    STACKING = "stacking"
    ATTENTION = "attention"
    MOE = "moe"


class Target(StrEnum):
    """What the models of a release run on; see docs/targets.md."""

    CPU = "cpu"
    GPU_ORT = "gpu-ort"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


SeedOption = Annotated[int, typer.Option(help="Seed of training; the same seed and data give the same models.")]
FusionOption = Annotated[Fusion | None, typer.Option(help="Default: what shop.toml says.")]
TargetOption = Annotated[
    Target,
    typer.Option(
        help="cpu; gpu-ort: onnxruntime on CUDA with TensorRT inside; tensorrt-rtx: with engines for RTX GPUs, built "
        "here without a GPU; tensorrt: says what its plans need."
    ),
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option(help="MODEL=REASON: release it although its parity gate failed; the reason is recorded and signed."),
]
PublishOption = Annotated[bool, typer.Option("--publish/--no-publish", help="Serve it as stable from now on.")]


def parse_reasons(values: Sequence[str]) -> dict[str, str]:
    """Submodel -> why its failed gate is accepted. Raises ShopfuseError for a value without a reason."""
    reasons = {name: reason.strip() for name, _, reason in (value.partition("=") for value in values)}
    for name, reason in reasons.items():
        if not reason:
            raise ShopfuseError(f"--accept {name}: expected MODEL=REASON; a failed gate is not accepted without one")
    return reasons


def print_summary(manifest: Manifest) -> None:
    seconds = manifest.made_by.get("seconds", {})
    slowest = sorted(seconds.items(), key=lambda step: -step[1])[:4]
    for line in cleaning_lines(manifest.metrics.get("cleaning", {"rules": {}})):
        out.print(f"event log: {line}", markup=False)
    if recognised := manifest.made_by.get("language"):
        out.print(recognised, markup=False, soft_wrap=True)
    if told := manifest.made_by.get("text_encoder"):
        out.print(told, markup=False, soft_wrap=True)
    if foreign_prices := manifest.made_by.get("currency"):
        out.print(foreign_prices, style="yellow", markup=False, soft_wrap=True)
    out.print(f"release {manifest.release_id}: {manifest.items} items, fusion {manifest.fusion}")
    if manifest.without_meaning:
        out.print(manifest.without_meaning, style="yellow", markup=False, soft_wrap=True)
    for reason in manifest.metrics.get("kept_in_fp32", {}).values():
        out.print(f"kept in fp32: {reason}", markup=False, soft_wrap=True)
    engines = manifest.metrics.get("engines", {}).values()
    for engine in engines:
        if reason := engine.get("refused"):
            out.print(f"without an engine: {reason}", markup=False, soft_wrap=True)
    for name in sorted({name for engine in engines for name in engine.get("architectures", ())} - set(SERVED)):
        out.print(f"{name}: TensorRT's execution provider does not run there; the ONNX files will serve")
    out.print(
        f"took {sum(seconds.values()):.0f} s, of which " + ", ".join(f"{name} {took:.0f}" for name, took in slowest)
    )


def build_and_publish(shop: Workspace, options: BuildOptions, progress: Progress) -> Manifest:
    """Builds the next release and serves it as stable, through the Triton that serves the shop where one does."""
    manifest = build_workspace(shop, options, progress)
    publish_release(shop.root, manifest.release_id, progress)
    return manifest


def publish_release(workspace: Path, release_id: str, progress: Progress) -> None:
    with triton_control(workspace) as control:
        publish(
            workspace, release_id, control=control, public_key=WorkspacePaths(workspace).public_key, progress=progress
        )


def build(
    workspace: WorkspaceOption,
    seed: SeedOption = 0,
    fusion: FusionOption = None,
    precision: PrecisionOption = None,
    target: TargetOption = Target.CPU,
    gpu: GpuOption = None,
    accept: AcceptOption = None,
    publishes: PublishOption = True,
    json: JsonOption = False,
) -> None:
    """Train what can be trained, export, verify, index, sign, and publish as "stable".

    With events the towers and the ranker are trained; without, the shop is searched by words and meaning.
    A shop that is being served goes over to the new release without losing a request. Started by torchrun, several
    processes train together: see docs/training.md.
    """
    options = BuildOptions(
        seed=seed,
        fusion=fusion or "",
        precisions=parse_precisions(precision or ()),
        target=target,
        architectures=tuple(gpu or ()),
        accepted=parse_reasons(accept or ()),
    )
    with leading(TRAININGS) as leads:
        if not leads:
            return
        with progress_bars() as progress:
            shop = Workspace.open(workspace)
            settings_of(shop.root)  # what cannot be used is refused before the catalogue is encoded
            manifest = (build_and_publish if publishes else build_workspace)(shop, options, progress)
    if json:
        print_json({"release_id": manifest.release_id, "items": manifest.items, "fusion": manifest.fusion})
    else:
        print_summary(manifest)
