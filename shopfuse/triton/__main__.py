"""Triton as the one process of a container: `python -m shopfuse.triton REPOSITORY --host 0.0.0.0 --grpc-port 8001 ...`.

This process becomes the server, so that whoever runs the container signals and watches Triton itself. Everything in
the repository is loaded before a port opens: after a restart no caller meets a Triton without its models. A model that
cannot be loaded does not stop the others. What is loaded later, `shopfuse release sync` asks for.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from shopfuse.core.errors import ShopfuseError
from shopfuse.triton.command import TritonSettings, server_command
from shopfuse.triton.errors import TritonStartError
from shopfuse.triton.guard import remove_leavings
from shopfuse.triton.installation import assemble_backends, environment, find_installation

NAME = "shopfuse-container"  # of the run directory and of shared memory, which a killed server leaves behind
STOP_TIMEOUT_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Does not return where Triton starts; 1 with one line on stderr where it cannot."""
    options = _parse(arguments)
    try:
        return _become_triton(options)
    except (ShopfuseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _become_triton(options: argparse.Namespace) -> NoReturn:
    if not options.repository.is_dir():
        raise TritonStartError(f"model repository {options.repository} is not a folder: mount the workspace's there")
    settings = TritonSettings(
        host=options.host,
        grpc_port=options.grpc_port,
        http_port=options.http_port,
        metrics_port=options.metrics_port,
        stop_timeout_s=STOP_TIMEOUT_S,
        load_threads=options.load_threads,
        whole_at_start=True,
    )
    installation, repository = find_installation(), options.repository.resolve()
    run_directory = Path(tempfile.gettempdir()) / NAME
    remove_leavings(NAME, str(run_directory))
    assemble_backends(installation, run_directory / "backends")
    command = server_command(settings, installation, (repository,), run_directory / "backends", f"{NAME}-")
    os.chdir(run_directory)  # Triton's Python processes put the working directory first on their import path
    os.execve(command[0], [*command, *options.more], environment(installation))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shopfuse.triton",
        description="Triton in a container, in the foreground. Options of tritonserver follow after --.",
    )
    parser.add_argument("repository", type=Path, metavar="REPOSITORY", help="the workspace's model_repository")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, for all three ports")
    parser.add_argument("--grpc-port", type=int, default=8001, metavar="N")
    parser.add_argument("--http-port", type=int, default=8000, metavar="N")
    parser.add_argument("--metrics-port", type=int, default=8002, metavar="N")
    parser.add_argument("--load-threads", type=int, default=4, metavar="N", help="models loaded at the same time")
    ours = list(sys.argv[1:] if arguments is None else arguments)
    end = ours.index("--") if "--" in ours else len(ours)
    return parser.parse_args(ours[:end], argparse.Namespace(more=ours[end + 1 :]))


if __name__ == "__main__":
    sys.exit(main())
