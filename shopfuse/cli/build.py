"""`shopfuse build`: from the catalogue and events of a workspace to a verified release."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.build import build_workspace
from shopfuse.release.manifest import Manifest


class Fusion(StrEnum):
    """How channels and modalities become one score."""

    AUTO = "auto"
    WEIGHTED = "weighted"
    VOTE = "vote"
    SOFTMAX = "softmax"
    ATTENTION = "attention"


SeedOption = Annotated[int, typer.Option(help="Seed of training; the same seed and data give the same models.")]
FusionOption = Annotated[Fusion | None, typer.Option(help="Default: what shop.toml says.")]


def print_summary(manifest: Manifest) -> None:
    seconds = manifest.made_by.get("seconds", {})
    slowest = sorted(seconds.items(), key=lambda step: -step[1])[:4]
    out.print(f"release {manifest.release_id}: {manifest.items} items, fusion {manifest.fusion}, served as stable")
    out.print(
        f"took {sum(seconds.values()):.0f} s, of which " + ", ".join(f"{name} {took:.0f}" for name, took in slowest)
    )


def build(
    workspace: WorkspaceOption,
    seed: SeedOption = 0,
    fusion: FusionOption = None,
    json: JsonOption = False,
) -> None:
    """Train what can be trained, export, verify, index, and release it as "stable".

    With events the towers and the ranker are trained; without, the shop is searched by words and meaning.
    """
    with progress_bars() as progress:
        shop = Workspace.open(workspace)
        manifest = build_workspace(shop, seed=seed, fusion=fusion or "", progress=progress)
    if json:
        print_json({"release_id": manifest.release_id, "items": manifest.items, "fusion": manifest.fusion})
    else:
        print_summary(manifest)
