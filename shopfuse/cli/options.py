"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="Folder that holds the shop.", file_okay=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")]
