"""Two releases in turn through a release store, under load on every gateway: what callers see, how long it takes.

Two Tritons and two gateways, each with a workspace of its own, share this machine; the bench's own workspace publishes,
without a Triton. Where an edge stands before the gateways, one of each is killed too, and started again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.loadtest.open_loop import Front, ObservedCall, SteadyLoad, steady_load
from shopfuse.loadtest.rollout import CANARY, many_users, row_of, unsteady
from shopfuse.local.fleet import FleetError, FleetGateway, FleetTriton, LocalFleet, local_fleet
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import read_manifest
from shopfuse.release_store.pointers import read_pointers
from shopfuse.release_store.push import push_channels, push_releases
from shopfuse.release_store.store import ReleaseStore

LOOK_EVERY_S = 0.05
STEP_WITHIN_S = 300.0
DEAD_S = 3.0  # how long a killed server is away

OpenFront = Callable[[Sequence[str]], AbstractContextManager[Front]]  # of the gateways' addresses


def roll_fleet(
    workspace: Path,
    url: str,
    releases: tuple[str, str],
    *,
    rate: float,
    seconds: float,
    replicas: int = 2,
    edge: OpenFront | None = None,
    progress: Progress = silent,
) -> list[dict[str, object]]:
    """One row for each step from the first of the releases to the second and back, under `rate` searches a second
    from a third of `seconds` before the step to as long after it: on each gateway, or with an edge on that alone, and
    then a Triton and a gateway are killed too. Raises FleetError for a store in use."""
    store, key = ReleaseStore.open(url), WorkspacePaths(workspace).public_key
    if read_pointers(store).generation:
        raise FleetError(f"{url}: this store is in use; give an empty one, its channels are changed")
    publish(workspace, releases[0], control=None, public_key=key)
    write_channels(workspace, Channels(stable=releases[0]))  # the second is news to everybody
    push_channels(workspace, store, public_key=key, progress=progress)
    manifests = {name: read_manifest(WorkspacePaths(workspace).release(name)) for name in releases}
    requests = tuple(request.SerializeToString() for request in many_users(workspace))
    with tempfile.TemporaryDirectory(prefix="shopfuse-fleet-") as folder, ExitStack() as stack:
        fleet = stack.enter_context(local_fleet(workspace, store, Path(folder), replicas=replicas, progress=progress))
        gateways = [each.stack.endpoints.grpc for each in fleet.gateways]
        fronts = [stack.enter_context(edge(gateways))] if edge else [Front(address) for address in gateways]
        steps = _changes(workspace, store, releases[1], key)
        if edge:
            steps |= _deaths(store, fleet)
        rows = []
        for done, (name, take) in enumerate(steps.items()):
            progress("roll releases through the store", done, len(steps))
            until = Path(folder) / f"end-{done}"
            loads = [SteadyLoad(front, requests, rate, STEP_WITHIN_S, until=until) for front in fronts]
            rows.append(_measured(name, partial(_step, take, store, fleet), loads, seconds / 3, manifests))
        return rows


def _changes(workspace: Path, store: ReleaseStore, second: str, key: Path) -> dict[str, Callable[[], int]]:
    """What the publisher does; each gives the generation that the fleet has to follow."""

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


def _deaths(store: ReleaseStore, fleet: LocalFleet) -> dict[str, Callable[[], int]]:
    """As a kubelet does: what has ended is started again, empty or with what is on its disk."""

    def died(server: FleetTriton | FleetGateway) -> int:
        server.kill()
        time.sleep(DEAD_S)
        server.restart()
        return read_pointers(store).generation

    return {
        "kill a Triton": partial(died, fleet.tritons[0]),
        "kill a gateway": partial(died, fleet.gateways[0]),
    }


def _step(take: Callable[[], int], store: ReleaseStore, fleet: LocalFleet) -> tuple[float, float]:
    """(Seconds of the step itself, seconds until the last of the fleet answers with the channels again)."""
    began = time.monotonic()
    generation = take()
    taken_s = time.monotonic() - began
    while not fleet.follows(generation):
        if time.monotonic() - began > STEP_WITHIN_S:
            raise FleetError(f"{store.url}: the fleet does not follow generation {generation}")
        time.sleep(LOOK_EVERY_S)
    return taken_s, time.monotonic() - began


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
            taken_s, took_s = step()
            time.sleep(beside_s)
        finally:
            for load in loads:
                if load.until:
                    load.until.touch()
        observed: list[list[ObservedCall]] = [each.result() for each in running]
    together = [call for calls in observed for call in calls]
    row = row_of(name, took_s, together, manifests)
    # Of each gateway by itself: they do not flip at the same moment.
    steady = [unsteady([call for call in calls if call.status == "OK"]) for calls in observed]
    return row | {"unsteady_users": sum(steady), "take_s": round(taken_s, 2)}
