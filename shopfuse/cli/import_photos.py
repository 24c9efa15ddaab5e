"""`shopfuse import photos`: images of items as people take them, with the item that each one shows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.datasets.importing.photos import import_photos
from shopfuse.datasets.workspace import Workspace

PhotosArgument = Annotated[Path, typer.Argument(help="Folder or zip of JPEG, PNG or WebP images.")]
LabelsOption = Annotated[Path, typer.Option("--labels", "-l", help="CSV with a row for each photo.")]
PhotoColumnOption = Annotated[str, typer.Option(help="Column with the photo's path in the folder or zip.")]
ItemColumnOption = Annotated[str, typer.Option(help="Column with the id of the item that it shows.")]
OnlyOption = Annotated[str, typer.Option(help="Only photos whose path starts with this, such as train/.")]
BadShareOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Stop, changing nothing, when more than this share of photos is bad.")
]


def photos(
    source: PhotosArgument,
    labels: LabelsOption,
    workspace: WorkspaceOption,
    photo_column: PhotoColumnOption = "photo",
    item_column: ItemColumnOption = "item_id",
    only: OnlyOption = "",
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add labelled photos: the next build learns from them what items look like outside the studio.

    shopfuse import photos photos.zip --labels photos.csv --only train/ -w myshop
    """
    with progress_bars() as progress:
        report = import_photos(
            source,
            labels,
            Workspace.open(workspace),
            photo_column=photo_column,
            item_column=item_column,
            only=only,
            max_bad_share=max_bad_share,
            progress=progress,
        )
    if json:
        print_json(asdict(report))
        return
    out.print(
        f"{source}: {report.photos} photos: {report.added} added, {report.updated} updated, {report.unchanged} "
        f"unchanged, {report.unknown_items} of unknown items, {report.rejected} rejected",
        soft_wrap=True,
        markup=False,
    )
    for problem in report.problems:
        out.print(f"  {problem}", soft_wrap=True, markup=False)
