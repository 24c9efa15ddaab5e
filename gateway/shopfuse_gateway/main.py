"""Runs gateway processes until SIGTERM or SIGINT: `shopfuse-gateway --workspace DIR --triton HOST:PORT`.

Several workers share one port (SO_REUSEPORT; the kernel spreads connections). They are spawned, never forked: gRPC
must not exist in a process that forks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import MISSING, Field, fields, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import get_args, get_type_hints

import uvloop

from shopfuse.core.addresses import host_port, listening
from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings, SettingsError
from shopfuse_gateway.telemetry.logs import event, set_up_logging

log = logging.getLogger(__name__)

USAGE = "shopfuse-gateway --workspace DIR --triton HOST:PORT [options]"
DESCRIPTION = "Answers searches and recommendations of one shop over gRPC, until SIGTERM."
METAVARS: dict[type, str] = {int: "N", float: "SECONDS", str: "TEXT", Path: "DIR"}
CLEAN = (0, -signal.SIGTERM)  # the latter: told to stop before it could serve


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 after a clean stop, 1 with one line on stderr where the gateway cannot start."""
    try:
        settings, ready_file = parse(arguments)
        return run_workers(settings, ready_file) if settings.workers > 1 else run(settings, ready_file)
    except ShopfuseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parse(arguments: Sequence[str] | None) -> tuple[Settings, Path | None]:
    """Settings from the command line: one option for each field, the field's default where it is not named."""
    parser = argparse.ArgumentParser(prog="shopfuse-gateway", usage=USAGE, description=DESCRIPTION)
    parser.add_argument(
        "--ready-file", metavar="FILE", type=Path, help="written once the gateway serves: JSON with its ports and pid"
    )
    hints = get_type_hints(Settings, include_extras=True)
    for field in fields(Settings):
        kind, meaning = get_args(hints[field.name])
        _add_option(parser, field, kind, meaning)
    values = vars(parser.parse_args(arguments))
    ready_file = values.pop("ready_file")
    return Settings(**values), ready_file


def _add_option(parser: argparse.ArgumentParser, field: Field[object], kind: type, meaning: str) -> None:
    option = f"--{field.name.replace('_', '-')}"
    if kind is bool:
        parser.add_argument(option, default=field.default, action=argparse.BooleanOptionalAction, help=meaning)
        return
    required = field.default is MISSING
    default = None if required else field.default
    text = f"{meaning} (default {default})" if default not in (None, "") else meaning
    parser.add_argument(option, required=required, default=default, type=kind, metavar=METAVARS[kind], help=text)


def run(settings: Settings, ready_file: Path | None = None) -> int:
    """Serves in this process until it is told to stop."""
    set_up_logging(settings.log_format)
    uvloop.run(_serve(settings, ready_file))
    return 0


async def _serve(settings: Settings, ready_file: Path | None) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent := multiprocessing.parent_process():
        loop.add_reader(parent.sentinel, _orphaned, loop, parent.sentinel, stop)
    async with AsyncExitStack() as stack:
        opening = asyncio.ensure_future(stack.enter_async_context(open_gateway(settings)))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():  # told to stop while it waits for Triton
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            return
        gateway = opening.result()
        release_id, port = gateway.engine.release.manifest.release_id, gateway.grpc_port
        log.info("serving release %s on port %d", release_id, port, extra=event("serving", release_id))
        if ready_file:
            _write_ready(ready_file, gateway.grpc_port, gateway.metrics_port)
        await stop.wait()
        log.info("draining", extra=event("draining", gateway.releases.channels.stable))
        await gateway.drain()


def _orphaned(loop: asyncio.AbstractEventLoop, sentinel: int, stop: asyncio.Event) -> None:
    """A worker does not outlive the process that started it, however that one ended."""
    loop.remove_reader(sentinel)
    stop.set()


def _write_ready(path: Path, grpc_port: int, metrics_port: int) -> None:
    ready = {"grpc": grpc_port, "metrics": metrics_port, "pid": os.getpid()}
    write_text(path, json.dumps(ready), durable=False)


def run_workers(settings: Settings, ready_file: Path | None) -> int:
    """Spawns the workers and passes signals on; stops all when one of them dies. 1 where one failed."""
    with closing(_reserved_port(settings)) as reserved:
        shared = replace(settings, grpc_port=reserved.getsockname()[1])
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=_worker, args=(_of_worker(shared, number), None if number else ready_file))
            for number in range(settings.workers)
        ]
        for worker in workers:
            worker.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _terminate(workers))
        wait([worker.sentinel for worker in workers])
        _terminate(workers)
        for worker in workers:
            worker.join()
        return int(any(worker.exitcode not in CLEAN for worker in workers))


def _terminate(workers: Sequence[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()


def _worker(settings: Settings, ready_file: Path | None) -> None:
    try:
        run(settings, ready_file)
    except ShopfuseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _of_worker(settings: Settings, number: int) -> Settings:
    metrics_port = settings.metrics_port + number if settings.metrics_port else 0
    return replace(settings, metrics_port=metrics_port)


def _reserved_port(settings: Settings) -> socket.socket:
    """A bound, never listening socket: it holds the port that the workers share, also where 0 asks for a free one."""
    family, address = listening(settings.host, settings.grpc_port)
    reserved = socket.socket(family, socket.SOCK_STREAM)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as alone:  # not shared: fails where another gateway is
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
    except OSError as error:
        reserved.close()
        raise SettingsError(
            f"grpc_port: cannot listen on {host_port(settings.host, settings.grpc_port)} ({error.strerror})"
        ) from error
    return reserved
