"""`shopfuse edge`: Envoy before the gateways, configured by one file of settings."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from shopfuse.cli.console import out
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.edge.bootstrap import write_config
from shopfuse.edge.local_envoy import EnvoyError, check_config, local_envoy
from shopfuse.edge.settings import read_edge_settings
from shopfuse.local.endpoints import read_endpoints

app = typer.Typer(
    no_args_is_help=True, help="Envoy before the gateways: tokens, limits, JSON, balancing.", rich_markup_mode=None
)

SettingsArgument = Annotated[Path, typer.Argument(help="The settings: edge.toml.", dir_okay=False)]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for Envoy's files.", file_okay=False)]
FoundAtOption = Annotated[
    str, typer.Option(help="Where Envoy will find that folder, such as /etc/envoy; default: here.")
]
ShopOption = Annotated[
    Path,
    typer.Option("--workspace", "-w", help="A shop that `shopfuse serve` serves on this machine.", file_okay=False),
]
DrainOption = Annotated[float, typer.Option(min=0, max=600, help="Seconds that running calls have to end on Ctrl-C.")]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.command()
def config(settings: SettingsArgument, out_folder: OutOption, found_at: FoundAtOption = "") -> None:
    """Write Envoy's configuration, for an Envoy in a container or elsewhere.

    shopfuse edge config edge.toml --out envoy --found-at /etc/envoy
    """
    out.print(f"wrote {write_config(read_edge_settings(settings), out_folder, found_at)}", soft_wrap=True)


@app.command()
def check(
    bootstrap: Annotated[Path, typer.Argument(help="envoy.json, as `edge config` wrote it.", dir_okay=False)],
) -> None:
    """Have Envoy itself read a configuration, without starting it."""
    check_config(bootstrap)
    out.print(f"Envoy takes {bootstrap}", soft_wrap=True)


@app.command()
def serve(settings: SettingsArgument, workspace: ShopOption, drain_s: DrainOption = 5.0) -> None:
    """Run Envoy before the gateway of a served workspace until Ctrl-C; its address takes the place of the settings'.

    shopfuse edge serve examples/edge.toml -w myshop
    """
    signal.signal(signal.SIGTERM, _interrupt)
    chosen = read_edge_settings(settings, read_endpoints(workspace).grpc)
    scheme = "https" if chosen.tls.certificate else "http"
    told = f"edge     {scheme}://127.0.0.1:{chosen.listener.port} (gRPC, grpc-web, JSON)\nStop with Ctrl-C."
    try:
        with local_envoy(chosen, WorkspacePaths(workspace).edge.absolute()) as envoy:
            try:
                out.print(told, soft_wrap=True)
                code = envoy.process.wait()
            except KeyboardInterrupt:
                envoy.drain(drain_s)
                return
    except KeyboardInterrupt:  # before it was ready
        return
    raise EnvoyError(f"Envoy ended with code {code}; see run/edge/envoy.log in the workspace")
