"""Two releases in turn through a release store, under load on every replica: what callers see, how long it takes.

A replica is a workspace of its own with a Triton, a gateway and a `release sync`; all of them share this machine. The
bench's own workspace publishes, without a Triton.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.loadtest.open_loop import ObservedCall, SteadyLoad, steady_load
from shopfuse.loadtest.rollout import CANARY, many_users, row_of, unsteady
from shopfuse.local.stack import Stack, StackOptions, local_stack
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import read_manifest
from shopfuse.release_store.pointers import read_pointers
from shopfuse.release_store.push import push_channels, push_releases
from shopfuse.release_store.store import ReleaseStore
from shopfuse.release_store.sync import Sync

EVERY = "500ms"  # between two looks of a replica
LOOK_EVERY_S = 0.05
STEP_WITHIN_S = 300.0


class FleetError(ShopfuseError):
    """A replica did not follow, or the store is not empty."""


@dataclass(frozen=True, slots=True)
class Replica:
    stack: Stack
    sync: subprocess.Popen[bytes]

    def follows(self, generation: int) -> bool:
        """Whether its gateway answers with these channels. Raises FleetError where it cannot."""
        path = WorkspacePaths(self.stack.workspace).sync_status
        if self.sync.poll() is not None or self.stack.gateway.poll() is not None:
            raise FleetError(f"{path}: a process of this replica has ended")
        status = json.loads(path.read_text("utf-8"))
        if status["problem"]:
            raise FleetError(f"{path}: {status['problem']}")
        return bool(status["in_step"] and status["generation"] == generation)


def roll_fleet(
    workspace: Path,
    url: str,
    releases: tuple[str, str],
    *,
    rate: float,
    seconds: float,
    replicas: int = 2,
    progress: Progress = silent,
) -> list[dict[str, object]]:
    """One row for each step from the first of the releases to the second and back, under `rate` searches a second on
    each replica from a third of `seconds` before the step to as long after it. Raises FleetError for a store in use."""
    store, key = ReleaseStore.open(url), WorkspacePaths(workspace).public_key
    if read_pointers(store).generation:
        raise FleetError(f"{url}: this store is in use; give an empty one, its channels are changed")
    publish(workspace, releases[0], control=None, public_key=key)
    push_channels(workspace, store, public_key=key, progress=progress)
    manifests = {name: read_manifest(WorkspacePaths(workspace).release(name)) for name in releases}
    requests = tuple(request.SerializeToString() for request in many_users(workspace))
    with tempfile.TemporaryDirectory(prefix="shopfuse-fleet-") as folder, ExitStack() as stack:
        fleet = []
        for number in range(replicas):
            progress("start replicas", number, replicas)
            fleet.append(stack.enter_context(_replica(workspace, store, Path(folder) / f"replica-{number}")))
        rows = []
        steps = _steps(workspace, store, releases[1], key)
        for done, (name, take) in enumerate(steps.items()):
            progress("roll releases through the store", done, len(steps))
            until = Path(folder) / f"end-{done}"
            loads = [
                SteadyLoad(each.stack.endpoints.grpc, requests, rate, STEP_WITHIN_S, until=until) for each in fleet
            ]
            rows.append(_measured(name, partial(_step, take, store, fleet), loads, seconds / 3, manifests))
        return rows


@contextmanager
def _replica(origin: Path, store: ReleaseStore, root: Path) -> Iterator[Replica]:
    """Served as on another machine; it shares the origin's feature store, which does not travel with releases."""
    paths, theirs = WorkspacePaths(root), WorkspacePaths(origin)
    paths.keys.mkdir(parents=True)
    shutil.copy(theirs.public_key, paths.public_key)
    paths.store.parent.symlink_to(theirs.store.parent.absolute())
    first = Sync(root, store, lambda: nullcontext(None), public_key=paths.public_key).look()
    if first.problem:
        raise FleetError(first.problem)
    command = [sys.executable, "-m", "shopfuse.cli.release_store", "sync", store.url, "-w", str(root), "--every", EVERY]
    with local_stack(root, StackOptions(log_impressions=False)) as stack, paths.sync_log.open("wb") as log:
        sync = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Replica(stack, sync)
        finally:
            sync.terminate()
            sync.wait()


def _steps(workspace: Path, store: ReleaseStore, second: str, key: Path) -> Mapping[str, Callable[[], int]]:
    """What the publisher does; each gives the generation that the replicas have to follow."""

    def pushed(change: Callable[[], object]) -> int:
        change()
        pointers = push_channels(workspace, store, public_key=key).pointers
        return pointers.generation if pointers else 0

    to_all = partial(publish, workspace, second, control=None, public_key=key)
    back = partial(rollback, workspace, control=None, public_key=key)
    files = partial(push_releases, workspace, store, [second], public_key=key)
    return {
        "push the files": lambda: pushed(files),
        "publish": lambda: pushed(to_all),
        "roll back": lambda: pushed(back),
        "canary": lambda: pushed(partial(to_all, share=CANARY)),
        "promote": lambda: pushed(partial(promote, workspace, control=None, public_key=key)),
        "roll back again": lambda: pushed(back),
    }


def _step(take: Callable[[], int], store: ReleaseStore, fleet: Sequence[Replica]) -> tuple[float, float]:
    """(Seconds of the publisher, seconds until the gateway of the last replica answers with the new channels)."""
    began = time.monotonic()
    generation = take()
    pushed_s = time.monotonic() - began
    while not all(replica.follows(generation) for replica in fleet):
        if time.monotonic() - began > STEP_WITHIN_S:
            raise FleetError(f"{store.url}: a replica does not follow generation {generation}")
        time.sleep(LOOK_EVERY_S)
    return pushed_s, time.monotonic() - began


def _measured(
    name: str,
    step: Callable[[], tuple[float, float]],
    loads: Sequence[SteadyLoad],
    beside_s: float,
    manifests: Mapping[str, Manifest],
) -> dict[str, object]:
    with ExitStack() as stack:
        running = [stack.enter_context(steady_load(load)) for load in loads]
        try:
            time.sleep(beside_s)
            pushed_s, took_s = step()
            time.sleep(beside_s)
        finally:
            for load in loads:
                if load.until:
                    load.until.touch()
        observed: list[list[ObservedCall]] = [each.result() for each in running]
    together = [call for calls in observed for call in calls]
    row = row_of(name, took_s, together, manifests)
    # Of each replica by itself: they do not flip at the same moment.
    steady = [unsteady([call for call in calls if call.status == "OK"]) for calls in observed]
    return row | {"unsteady_users": sum(steady), "push_s": round(pushed_s, 2)}
