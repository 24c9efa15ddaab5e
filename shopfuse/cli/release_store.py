"""`shopfuse release push`, `pull` and `sync`: releases travel through a store of objects.

A replica needs nothing else of shopfuse's commands, so it can run without the exporters and torch:
`python -m shopfuse.cli.release_store sync STORE -w shop`.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, progress_bars, report_errors
from shopfuse.cli.plain_options import JsonOption, KeyOption, TritonOption, WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.local.endpoints import triton_control
from shopfuse.release_store.fleet import Fleet
from shopfuse.release_store.pointers import read_pointers, remember
from shopfuse.release_store.probes import answering
from shopfuse.release_store.pull import pull
from shopfuse.release_store.push import push_channels, push_releases
from shopfuse.release_store.store import ReleaseStore, StoreError
from shopfuse.release_store.sync import Sync, SyncStatus

StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", help="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///PATH.")
]
ReleasesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[RELEASE]...", help="Release ids; default: those that the channels name.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace channels that somebody else changed meanwhile.")]
EveryOption = Annotated[str, typer.Option(help="Time between two looks, such as 10s, 500ms or 1m.")]
SyncedStoreArgument = Annotated[
    str, typer.Argument(metavar="[STORE]", help="As for push; without one, the workspace's own channels are followed.")
]
ProbesOption = Annotated[str, typer.Option(metavar="HOST:PORT", help="Answer /ready, /live and /metrics there.")]
WaitForOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="Name a release only when every Triton at this name serves it: beside a gateway that asks them all.",
    ),
]
OnceOption = Annotated[bool, typer.Option("--once", help="One look; exit code 1 unless everything is in step then.")]
KeepOption = Annotated[int, typer.Option(min=0, help="Newest releases to keep beside those in use.")]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
MB = 1 << 20


def push_command(
    store: StoreArgument,
    workspace: WorkspaceOption,
    releases: ReleasesArgument = None,
    public_key: KeyOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Put releases into a store, and then what this workspace's channels say: replicas follow those.

    \b
      shopfuse release publish -w shop r7 --canary 5%        decide it here: needs no Triton
      shopfuse release push s3://bucket/shop -w shop         releases first, the channels at the very end
      shopfuse release push s3://bucket/shop r8 -w shop      this release alone; no channel changes

    Files are named by their content: what the store holds is not sent again, and a push that was cut short goes on.
    Publishers do not overwrite each other: who has not seen the store's channels as they are is refused, and pulls.
    """
    opened, key = ReleaseStore.open(store), _key_of(workspace, public_key)
    with progress_bars() as progress:
        if releases:
            done = push_releases(workspace, opened, releases, public_key=key, progress=progress)
        else:
            done = push_channels(workspace, opened, public_key=key, force=force, progress=progress)
    if json:
        print_json(asdict(done))
        return
    for each in done.releases:
        sent = f"{each.uploaded} files ({each.uploaded_bytes / MB:.1f} MB) sent, {each.held} were there"
        out.print(f"{each.release_id}: {sent}", markup=False)
    if done.pointers:
        out.print(f"channels, generation {done.pointers.generation}: {done.pointers.channels}", markup=False)


def pull_command(
    store: StoreArgument,
    workspace: WorkspaceOption,
    releases: ReleasesArgument = None,
    public_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch releases from a store: verified against the public key, whole under their names or not there at all.

    \b
      shopfuse release pull s3://bucket/shop -w shop --public-key release.pub         what the channels name
      shopfuse release pull s3://bucket/shop r7 -w shop                               this one

    What is here with the right hash is not fetched again. Nothing is published by it: `publish` does that here, `sync`
    does both and goes on doing so.
    """
    opened, key = ReleaseStore.open(store), _key_of(workspace, public_key)
    pointers = read_pointers(opened)
    if not releases and not pointers.generation:
        raise StoreError(f"{store}: nothing is published there yet; name a release")
    names = releases or pointers.channels.in_use
    with progress_bars() as progress:
        done = [pull(workspace, opened, name, public_key=key, progress=progress) for name in names]
    remember(workspace, opened, pointers)
    if json:
        print_json({"releases": [asdict(each) for each in done], "pointers": asdict(pointers)})
        return
    for each in done:
        fetched = f"{each.fetched} files ({each.fetched_bytes / MB:.1f} MB) fetched, {each.found} were here"
        out.print(f"{each.release_id}: {fetched}", markup=False)
    out.print(f"channels of the store, generation {pointers.generation}: {pointers.channels}", markup=False)


def sync_command(
    workspace: WorkspaceOption,
    store: SyncedStoreArgument = "",
    every: EveryOption = "10s",
    once: OnceOption = False,
    triton: TritonOption = "",
    wait_for: WaitForOption = "",
    probes: ProbesOption = "",
    public_key: KeyOption = None,
    keep: KeepOption = 0,
    json: JsonOption = False,
) -> None:
    """Keep a serving workspace in step with a store's channels, until Ctrl-C or SIGTERM.

    \b
      shopfuse release sync s3://bucket/shop -w shop --once                           before Triton and gateway start
      shopfuse release sync s3://bucket/shop -w shop --every 10s --triton HOST:8001   beside a Triton
      shopfuse release sync s3://bucket/shop -w shop --wait-for triton-headless:8001  beside a gateway that asks others
      shopfuse release sync -w shop --triton HOST:8001        without a store: Triton gets what is published in `shop`

    A look pulls what the channels name, has this workspace's Triton load it and answer its golden queries, flips the
    pointer that gateways follow, and prunes what no channel names. While the store is slow or gone the last good
    release goes on serving. WORKSPACE/run/sync.json tells how it stands, and so do --probes.
    """
    opened, pause_s = ReleaseStore.open(store) if store else None, parse_duration(every)
    key, fleet = _key_of(workspace, public_key), Fleet.parse(wait_for) if wait_for else None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with progress_bars() as progress:
        shown = progress if once else silent
        control = lambda: triton_control(workspace, triton)  # noqa: E731
        sync = Sync(workspace, opened, control, public_key=key, fleet=fleet, keep=keep, progress=shown)
        with answering(sync, probes) if probes else nullcontext():
            status = sync.look() if once else _look_until_told(sync, pause_s)
    if json:
        print_json(asdict(status))
    elif once:
        out.print(f"generation {status.generation}: {status.channels}", markup=False)
    if once and status.problem:
        raise ShopfuseError(status.problem)


def _look_until_told(sync: Sync, pause_s: float) -> SyncStatus:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    while True:
        status = sync.look()
        if told.wait(pause_s):
            return status


def parse_duration(text: str) -> float:
    """Seconds of "10s", "500ms" or "1m". Raises ShopfuseError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
    if not match or not float(match[1]):
        raise ShopfuseError(f"--every {text}: expected a time such as 10s, 500ms or 1m")
    return float(match[1]) * UNITS[match[2]]


def _key_of(workspace: Path, public_key: Path | None) -> Path:
    return public_key or WorkspacePaths(workspace).public_key


def add_commands(app: typer.Typer) -> None:
    app.command("push")(push_command)
    app.command("pull")(pull_command)
    app.command("sync")(sync_command)


if __name__ == "__main__":
    alone = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, help=__doc__)
    add_commands(alone)
    report_errors(alone)
