"""`shopfuse release`: build, look at, compare, verify, publish, roll back and clear away releases."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.build import AcceptOption, SeedOption, Target, TargetOption, parse_reasons, print_summary
from shopfuse.cli.console import err, out, print_json, print_table, progress_bars
from shopfuse.cli.options import GpuOption, JsonOption, PrecisionOption, WorkspaceOption, parse_precisions
from shopfuse.cli.plain_options import KeyOption, TritonOption
from shopfuse.cli.release_page import difference, release_page, roles_of
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.local.endpoints import triton_control
from shopfuse.publishing.prune import Pruned, prune
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.publishing.switch import Published
from shopfuse.release.channels import read_channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.signature import create_keys
from shopfuse.release.verify import read_manifest, release_problems
from shopfuse_exporters.build import BuildOptions, build_workspace

HELP = """Build, look at, publish and roll back releases.

A release is a signed folder with everything that belongs together: models, indexes, tokenizer, feature schema.

\b
  shopfuse release build   -w shop --precision text_encoder=int8   from the last training's checkpoints
  shopfuse release show    -w shop r7
  shopfuse release publish -w shop r7 --canary 5%                  for 5 % of the users
  shopfuse release publish -w shop --promote                       the canary for everybody
  shopfuse release rollback -w shop                                end the canary, or back to the release before
  shopfuse release push s3://bucket/shop -w shop                   all of that for the replicas that `sync` with it
"""

app = typer.Typer(no_args_is_help=True, help=HELP, rich_markup_mode=None)

ReleaseArgument = Annotated[str, typer.Argument(help="Release id such as r1; default: the stable one.")]
NewReleaseArgument = Annotated[str, typer.Argument(help="Release id such as r2; default: the newest.")]
CanaryOption = Annotated[str, typer.Option("--canary", help="Share of users such as 5%; the others keep the old one.")]
PromoteOption = Annotated[bool, typer.Option("--promote", help="Give the running canary to everybody.")]
KeepOption = Annotated[int, typer.Option(min=0, help="Newest releases to keep beside those in use.")]


def releases_of(workspace: Path) -> list[Manifest]:
    """Manifests, oldest first; a folder without a readable manifest is not a release."""
    folders = [path for path in WorkspacePaths(workspace).releases.glob("r*") if ReleaseLayout(path).manifest.is_file()]
    return sorted((read_manifest(path) for path in folders), key=lambda manifest: manifest.created_at)


def chosen(workspace: Path, release_id: str) -> Path:
    """The folder of a release, by default the stable one. Raises ReleaseError naming those that exist."""
    name = release_id or read_channels(workspace).stable
    root = WorkspacePaths(workspace).release(name)
    if not name or not ReleaseLayout(root).manifest.is_file():
        known = ", ".join(manifest.release_id for manifest in releases_of(workspace)) or "none; run `shopfuse build`"
        raise ReleaseError(f"{workspace}: no release {name or '(stable)'} (there are: {known})")
    return root


def parse_share(text: str) -> float:
    """A share of the users from "5%" or "0.05". Raises ShopfuseError unless it is more than 0 and at most 1."""
    try:
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ShopfuseError(f"--canary {text}: expected a share of the users such as 5% or 0.05")
    return share


@app.command("list")
def list_releases(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Releases, oldest first, and which ones are served."""
    channels = read_channels(workspace)
    columns = ("release", "channel", "created", "items", "fusion", "target")
    rows = [
        [
            manifest.release_id,
            roles_of(manifest.release_id, channels),
            manifest.created_at,
            manifest.items,
            manifest.fusion,
            manifest.target,
        ]
        for manifest in releases_of(workspace)
    ]
    if json:
        print_json({"releases": [dict(zip(columns, row, strict=True)) for row in rows], "channels": asdict(channels)})
    else:
        print_table(f"releases of {workspace}", columns, rows)


@app.command()
def show(workspace: WorkspaceOption, release: ReleaseArgument = "", json: JsonOption = False) -> None:
    """What a release is made of: models, parity, quality, and who made it from what."""
    folder = chosen(workspace, release)
    manifest = read_manifest(folder)
    if json:
        print_json(asdict(manifest))
    else:
        out.print(release_page(folder, manifest, read_channels(workspace)))


@app.command()
def diff(
    workspace: WorkspaceOption,
    before: Annotated[str, typer.Argument(help="Release id.")],
    after: Annotated[str, typer.Argument(help="Release id; default: the stable one.")] = "",
    json: JsonOption = False,
) -> None:
    """What two releases do not share: models, files, data, settings, numbers."""
    first, second = (read_manifest(chosen(workspace, name)) for name in (before, after))
    rows = difference(first, second)
    if json:
        print_json({"differences": [{"what": what, "before": old, "after": new} for what, old, new in rows]})
    elif rows:
        title = f"{first.release_id} and {second.release_id}"
        print_table(title, ("what", first.release_id, second.release_id), rows)
    else:
        out.print(f"{first.release_id} and {second.release_id} are made of the same parts")


@app.command()
def verify(
    workspace: WorkspaceOption, release: ReleaseArgument = "", public_key: KeyOption = None, json: JsonOption = False
) -> None:
    """Check the signature and every file of a release; exit code 1 where something is missing, changed or unsigned."""
    folder = chosen(workspace, release)
    problems = release_problems(folder, key_of(workspace, public_key))
    if json:
        print_json({"release_id": folder.name, "whole": not problems, "problems": problems})
    else:
        for problem in problems:
            out.print(problem, style="red", markup=False, soft_wrap=True)
        out.print(f"{folder.name}: {'genuine and whole' if not problems else f'{len(problems)} problems'}")
    if problems:
        raise typer.Exit(1)


@app.command("build")
def build_release(
    workspace: WorkspaceOption,
    precision: PrecisionOption = None,
    target: TargetOption = Target.CPU,
    gpu: GpuOption = None,
    accept: AcceptOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Make a release of the last training's checkpoints and today's catalogue; nothing is trained or published."""
    options = BuildOptions(
        train=False,
        seed=seed,
        precisions=parse_precisions(precision or ()),
        target=target,
        architectures=tuple(gpu or ()),
        accepted=parse_reasons(accept or ()),
    )
    with progress_bars() as progress:
        manifest = build_workspace(Workspace.open(workspace), options, progress)
    if json:
        print_json({"release_id": manifest.release_id, "items": manifest.items, "fusion": manifest.fusion})
    else:
        print_summary(manifest)


@app.command("publish")
def publish_release(
    workspace: WorkspaceOption,
    release: NewReleaseArgument = "",
    canary: CanaryOption = "",
    promotes: PromoteOption = False,
    triton: TritonOption = "",
    public_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Serve a release: verified, loaded beside the old one, asked its golden queries, then the pointer is flipped.

    No request is lost, and none sees two releases. Whatever fails, what was served stays served.
    """
    if promotes and (release or canary):
        raise ShopfuseError("--promote stands alone: it gives the running canary to everybody")
    key, share = key_of(workspace, public_key), parse_share(canary) if canary else None
    with progress_bars() as progress, triton_control(workspace, triton) as control:
        if promotes:
            done = promote(workspace, control=control, public_key=key, progress=progress)
        else:
            name = release or newest(workspace)
            done = publish(workspace, name, control=control, public_key=key, share=share, progress=progress)
    print_published(done, json)


@app.command("rollback")
def roll_back(
    workspace: WorkspaceOption, triton: TritonOption = "", public_key: KeyOption = None, json: JsonOption = False
) -> None:
    """End the running canary; without one, back to the release that was stable before."""
    with progress_bars() as progress, triton_control(workspace, triton) as control:
        done = rollback(workspace, control=control, public_key=key_of(workspace, public_key), progress=progress)
    print_published(done, json)


@app.command("prune")
def prune_releases(
    workspace: WorkspaceOption, keep: KeepOption = 2, triton: TritonOption = "", json: JsonOption = False
) -> None:
    """Remove releases and models that no channel names and no gateway holds."""
    # A build links files of earlier releases: the two do not meet.
    with progress_bars() as progress, workspace_lock(workspace), triton_control(workspace, triton) as control:
        done = prune(workspace, keep=keep, control=control, progress=progress)
    print_pruned(done, json)


@app.command("keygen")
def keygen(folder: Annotated[Path, typer.Argument(help="Folder for release.pem and release.pub.")]) -> None:
    """Make a pair of keys: the private one signs releases, gateways get the public one."""
    private, public = create_keys(folder)
    out.print(f"{private} signs: keep it secret\n{public} verifies: give it to gateways")


def newest(workspace: Path) -> str:
    releases = releases_of(workspace)
    if not releases:
        raise ReleaseError(f"{workspace}: no release to publish; run `shopfuse build` or `shopfuse release build`")
    return releases[-1].release_id


def key_of(workspace: Path, public_key: Path | None) -> Path:
    return public_key or WorkspacePaths(workspace).public_key


def print_published(done: Published, json: bool) -> None:
    """What answers whom now, and what a person should look at."""
    if json:
        print_json(asdict(done))
        return
    for name in done.after.in_use:
        out.print(f"{name}: {roles_of(name, done.after)}")
    slowest = sorted(done.step_seconds.items(), key=lambda step: -step[1])[:3]
    steps = ", ".join(f"{name} {took:.2f}" for name, took in slowest)
    out.print(f"{done.action} took {done.seconds:.2f} s, of which {steps}")
    _print_warnings(done.warnings)


def print_pruned(done: Pruned, json: bool) -> None:
    if json:
        print_json(asdict(done))
        return
    for name, why in done.kept.items():
        out.print(f"{name} stays: {why}", markup=False)
    removed = ", ".join((*done.removed, *done.removed_models)) or "nothing"
    out.print(f"removed {removed} in {done.seconds:.2f} s", markup=False, soft_wrap=True)
    _print_warnings(done.warnings)


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
