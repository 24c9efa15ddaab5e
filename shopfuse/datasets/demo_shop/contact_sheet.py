"""A page of product pictures for a person to look at."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw

from shopfuse.core.atomic_files import atomic_file
from shopfuse.datasets.workspace import Workspace, WorkspaceError

_COLUMNS, _ROWS = 8, 8
_CELL_WIDTH, _CELL_HEIGHT, _PICTURE, _LETTERS = 176, 160, 128, 28


def contact_sheet(workspace: Workspace, path: Path) -> None:
    """Write a PNG of the first 64 products that have a picture, each with its title."""
    shown = workspace.images().head(_COLUMNS * _ROWS).join(workspace.items(), on="item_id", how="inner").collect()
    if shown.is_empty():
        raise WorkspaceError(f"{workspace.root}: no item has a picture")
    sheet = Image.new("RGB", (_COLUMNS * _CELL_WIDTH, _ROWS * _CELL_HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (encoded, title) in enumerate(zip(shown["image"], shown["title"], strict=True)):
        left, top = place % _COLUMNS * _CELL_WIDTH, place // _COLUMNS * _CELL_HEIGHT
        picture = Image.open(io.BytesIO(encoded)).resize((_PICTURE, _PICTURE))
        sheet.paste(picture, (left + (_CELL_WIDTH - _PICTURE) // 2, top))
        pen.text((left + 4, top + _PICTURE + 4), title[:_LETTERS], fill="black")
        pen.text((left + 4, top + _PICTURE + 16), title[_LETTERS : 2 * _LETTERS], fill="black")
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG")
