"""Options of every command, for programs that run without the exporters, too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="Folder that holds the shop.", file_okay=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")]
KeyOption = Annotated[
    Path | None, typer.Option("--public-key", help="Public key to verify with; default: keys/release.pub.")
]
TritonOption = Annotated[
    str, typer.Option(help="HOST:PORT of the Triton that serves the shop; default: the one that `serve` started.")
]
