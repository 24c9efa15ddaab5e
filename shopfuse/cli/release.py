"""`shopfuse release`: which releases a workspace has, what one is made of, and whether it is whole."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.release.layout import read_channels
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import read_manifest, release_problems

app = typer.Typer(no_args_is_help=True, help="List, show and verify releases.", rich_markup_mode=None)

ReleaseArgument = Annotated[str, typer.Argument(help="Release id such as r1; default: the stable one.")]


def releases_of(workspace: Path) -> list[Manifest]:
    """Manifests, oldest first; a folder without a readable manifest is not a release."""
    folders = [path for path in (workspace / "releases").glob("r*") if (path / "manifest.json").is_file()]
    return sorted((read_manifest(path) for path in folders), key=lambda manifest: manifest.created_at)


def chosen(workspace: Path, release_id: str) -> Path:
    """The folder of a release, by default the stable one. Raises ReleaseError naming those that exist."""
    releases = workspace / "releases"
    name = release_id or read_channels(releases).get("stable", "")
    if not name or not (releases / name / "manifest.json").is_file():
        known = ", ".join(manifest.release_id for manifest in releases_of(workspace)) or "none; run `shopfuse build`"
        raise ReleaseError(f"{workspace}: no release {name or '(stable)'} (there are: {known})")
    return releases / name


@app.command("list")
def list_releases(workspace: WorkspaceOption, json: JsonOption = False) -> None:
    """Releases, oldest first, and which one is served."""
    channels = read_channels(workspace / "releases")
    rows = [
        [
            manifest.release_id,
            ", ".join(name for name, release in channels.items() if release == manifest.release_id),
            manifest.created_at,
            manifest.items,
            manifest.fusion,
        ]
        for manifest in releases_of(workspace)
    ]
    columns = ("release", "channel", "created", "items", "fusion")
    if json:
        print_json({"releases": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_table(f"releases of {workspace}", columns, rows)


@app.command()
def show(workspace: WorkspaceOption, release: ReleaseArgument = "", json: JsonOption = False) -> None:
    """What a release is made of: models, parity, quality, and how it was made."""
    manifest = read_manifest(chosen(workspace, release))
    if json:
        print_json(asdict(manifest))
        return
    models = [[name, model.version, ", ".join(model.files)] for name, model in sorted(manifest.models.items())]
    print_table(
        f"{manifest.release_id}: {manifest.items} items, fusion {manifest.fusion}",
        ("model", "version", "files"),
        models,
    )
    print_table("ensembles", ("role", "Triton model"), sorted(manifest.ensembles.items()))
    for title, part in (("parity", manifest.parity), ("metrics", manifest.metrics), ("made by", manifest.made_by)):
        out.print(f"{title}:", style="bold")
        out.print(json_text.dumps(part, indent=2, sort_keys=True), soft_wrap=True, markup=False)


@app.command()
def verify(workspace: WorkspaceOption, release: ReleaseArgument = "", json: JsonOption = False) -> None:
    """Check every file of a release against its sha256; exit code 1 where one is missing or changed."""
    folder = chosen(workspace, release)
    problems = release_problems(folder, workspace / "model_repository")
    if json:
        print_json({"release_id": folder.name, "whole": not problems, "problems": problems})
    else:
        for problem in problems:
            out.print(problem, style="red", markup=False, soft_wrap=True)
        out.print(f"{folder.name}: {'whole' if not problems else f'{len(problems)} files missing or changed'}")
    if problems:
        raise typer.Exit(1)
