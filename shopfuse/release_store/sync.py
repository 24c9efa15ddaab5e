"""Keeps a workspace in step with the channels of a store: its releases, its Triton, and at the end its pointer.

The pointer, which gateways follow, flips only when every release that it names is here, loaded, and has answered its
golden queries. Whatever fails before that, the last good releases go on serving; it is logged, counted, tried again.
Without a store the workspace's own channels are followed: something else writes them, here Triton gets what they name.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.adopt import adopt, without
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import signed_manifest
from shopfuse.publishing.loading import LIVE_WITHIN_S, not_ready
from shopfuse.publishing.prune import prune, prune_models, releases_kept
from shopfuse.publishing.publication_log import now
from shopfuse.publishing.reconcile import place_published, reconcile
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.ids import release_ids
from shopfuse.release.verify import read_manifest
from shopfuse.release_store.fleet import Fleet, FleetBehind
from shopfuse.release_store.pointers import Pointers, read_pointers, remember, seen_generation
from shopfuse.release_store.pull import pull, sweep_pulls
from shopfuse.release_store.store import ReleaseStore, StoreError, StoreUnreachable
from shopfuse.triton.model_control import ModelControl

log = logging.getLogger(__name__)

RETRY_REFUSED_S = 60.0  # a refused release is read whole each time
LINGER_S = 120.0  # gateways elsewhere, which follow by looks of their own, may still answer with what nothing names
OpenControl = Callable[[], AbstractContextManager[ModelControl | None]]


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """WORKSPACE/run/sync.json, for probes and for people."""

    ready: bool = False  # Triton answers with the stable release that it was given last
    in_step: bool = False  # and the channels are those of the store
    generation: int = 0  # of the store's channels, as last seen
    channels: Channels = field(default_factory=Channels)  # of the workspace
    problem: str = ""  # of the last look; "" where it had none
    looks: int = 0
    store_failures: int = 0  # looks that the store did not answer, or refused
    refusals: int = 0  # looks that found a release which cannot be served
    changes: int = 0  # of the workspace's pointer
    looked_at: str = ""  # ISO 8601, UTC


class Sync:
    """One look after the other, from one thread; only one of them for a workspace. `status` is of the last whole look.

    Other threads may read `status` and `looking_since`.
    """

    def __init__(
        self,
        workspace: Path,
        store: ReleaseStore | None,
        open_control: OpenControl,
        *,
        public_key: Path,
        fleet: Fleet | None = None,
        keep: int = 0,
        linger_s: float = LINGER_S,
        progress: Progress = silent,
    ) -> None:
        """`fleet`: other Tritons, which have to serve a release before this workspace names it. `keep`: how many
        releases stay beside those in use. Raises StoreError in a workspace that builds releases."""
        if store and WorkspacePaths(workspace).private_key.exists():
            raise StoreError(
                f"{WorkspacePaths(workspace).private_key}: releases are built in this workspace, and sync would remove "
                "those that the store does not name: give it a workspace of its own, with the public key alone"
            )
        self.status = SyncStatus()
        self.looking_since = time.monotonic()
        self._now = SyncStatus()  # of the look that is being taken
        self._workspace = workspace
        self._store = store
        self._open_control = open_control
        self._public_key = public_key
        self._fleet = fleet
        self._keep = keep
        self._linger_s = linger_s
        self._progress = progress
        self._served = ""  # the stable release that Triton answered with last
        self._left_out = Channels(), 0.0, ""  # channels not served whole, when that is tried again, and why
        self._refused: tuple[int, float, str] = 0, 0.0, ""  # generation, when it is tried again, why
        self._since = Channels(), time.monotonic()  # how long the channels have been these
        self._tidied = Channels()  # without a store, channels whose leftovers are gone
        self._tell()

    def look(self) -> SyncStatus:
        """Brings the workspace as near to the channels as can be; never raises what a user can repair."""
        self.looking_since = time.monotonic()
        before = self.status.problem
        self._note(problem="", looks=self._now.looks + 1)
        try:
            with self._open_control() as control:
                self._keep_served(control)
                self._follow(control)
                self._tidy(control)
        except (ShopfuseError, OSError) as error:
            failed = isinstance(error, StoreError)
            self._note(problem=str(error), store_failures=self._now.store_failures + failed)
        if self._now.problem and self._now.problem != before:
            log.error("%s goes on serving: %s", self._now.channels.stable or "nothing", self._now.problem)
        if before and not self._now.problem:
            log.info("in step again: %s", self._now.channels)
        self._tell()
        return self.status

    def _note(self, **changed: object) -> None:
        self._now = replace(self._now, **changed)  # type: ignore[arg-type]

    def _keep_served(self, control: ModelControl | None) -> None:
        """A Triton that has started anew gets what the workspace names, whether or not a store answers."""
        channels = read_channels(self._workspace)
        self._note(channels=channels, in_step=False)
        if not control:
            self._note(ready=bool(channels.stable))
            if not self._store:
                place_published(self._workspace, public_key=self._public_key, progress=self._progress)
            return
        if not control.is_live(LIVE_WITHIN_S):
            self._note(ready=False)
            raise PublishError(f"Triton at {control.address} does not answer")
        try:
            self._load(control, channels)
        finally:
            self._note(ready=self._answers(control, channels.stable) or self._answers(control, self._served))

    def _load(self, control: ModelControl, channels: Channels) -> None:
        """Has Triton load what it lacks; of the others than the stable release only now and then where they fail."""
        lacking = [name for name in channels.in_use if not self._serves(control, name)]
        failed, retry_at, _ = self._left_out
        if channels.stable not in lacking and (not lacking or (failed == channels and time.monotonic() < retry_at)):
            return
        done = reconcile(self._workspace, control, public_key=self._public_key, progress=self._progress)
        self._left_out = channels, time.monotonic() + RETRY_REFUSED_S, "; ".join(done.problems.values())

    def _serves(self, control: ModelControl, release_id: str) -> bool:
        """Whether Triton has its models, and they are those of a release that is here and signed."""
        with suppress(ShopfuseError):
            return not not_ready(control, signed_manifest(self._workspace, release_id, self._public_key))
        return False

    def _answers(self, control: ModelControl, release_id: str) -> bool:
        """As long as it does, this Triton is ready, whatever becomes of the next release."""
        with suppress(ShopfuseError):
            manifest = read_manifest(WorkspacePaths(self._workspace).release(release_id)) if release_id else None
            if manifest and not not_ready(control, manifest):
                self._served = release_id
                return True
        return False

    def _follow(self, control: ModelControl | None) -> None:
        if not self._store:
            self._follow_workspace()
            return
        pointers = read_pointers(self._store)
        if not pointers.generation:
            raise StoreError(f"{self._store.url}: nothing is published there yet")
        wanted, (refused, retry_at, why) = pointers.channels, self._refused
        self._note(generation=pointers.generation, in_step=wanted == self._now.channels)
        if self._now.in_step:
            pass
        elif refused == pointers.generation and time.monotonic() < retry_at:
            raise PublishError(why)
        else:
            self._adopt(self._store, pointers, control)
        if pointers.generation != seen_generation(self._workspace, self._store):
            remember(self._workspace, self._store, pointers)

    def _follow_workspace(self) -> None:
        """Nothing is left to do: Triton was given what it can serve."""
        if not self._now.channels.stable:
            raise PublishError(f"{WorkspacePaths(self._workspace).channels}: nothing is published yet")
        channels, _, problem = self._left_out
        if problem and channels == self._now.channels:
            raise PublishError(problem)
        self._note(in_step=True)

    def _adopt(self, store: ReleaseStore, pointers: Pointers, control: ModelControl | None) -> None:
        wanted = pointers.channels
        log.info("generation %d of %s: %s", pointers.generation, store.url, wanted)
        try:
            missing = self._pull_all(store, wanted)
            if wanted.stable in missing:
                raise PublishError(missing[wanted.stable])
            if self._fleet:
                here = [name for name in (wanted.stable, wanted.canary) if name and name not in missing]
                self._fleet.require({name: signed_manifest(self._workspace, name, self._public_key) for name in here})
            done = adopt(
                self._workspace,
                wanted,
                missing,
                control=control,
                public_key=self._public_key,
                progress=self._progress,
            )
        except (StoreUnreachable, FleetBehind):
            raise
        except ShopfuseError as error:
            self._refuse(pointers, str(error))
            raise
        self._served = wanted.stable
        channels = without(wanted, done.problems)
        self._note(channels=channels, ready=True, changes=self._now.changes + (done.published is not None))
        if done.problems:
            self._refuse(pointers, problem := "; ".join(done.problems.values()))
            raise PublishError(problem)
        self._note(in_step=True)

    def _refuse(self, pointers: Pointers, why: str) -> None:
        self._note(refusals=self._now.refusals + 1)
        self._refused = pointers.generation, time.monotonic() + RETRY_REFUSED_S, why

    def _pull_all(self, store: ReleaseStore, wanted: Channels) -> dict[str, str]:
        """Gives what cannot be had, and why. Raises StoreUnreachable: what is there already is not fetched again."""
        missing: dict[str, str] = {}
        here = release_ids(WorkspacePaths(self._workspace).releases)
        for name in wanted.in_use:
            if name in here and name in self._now.channels.in_use:
                continue
            try:
                pull(self._workspace, store, name, public_key=self._public_key, progress=self._progress)
            except StoreUnreachable:
                raise
            except ShopfuseError as error:
                missing[name] = str(error)
        return missing

    def _tidy(self, control: ModelControl | None) -> None:
        """Removes what no channel names and no gateway holds any more: of a workspace that builds the models only."""
        channels = read_channels(self._workspace)
        if channels != self._since[0]:
            self._since = channels, time.monotonic()
        if self._store:
            sweep_pulls(self._workspace, channels.in_use)
        if channels == self._tidied or time.monotonic() - self._since[1] < self._linger_s:
            return
        names = set(release_ids(WorkspacePaths(self._workspace).releases))
        removed: tuple[str, ...] = ()
        if not self._store:
            removed = prune_models(self._workspace, channels, control)
            self._tidied = channels
        elif names - releases_kept(self._workspace, channels, self._keep).keys():
            done = prune(self._workspace, keep=self._keep, control=control, progress=self._progress)
            removed = (*done.removed, *done.removed_models)
        if removed:
            log.info("removed %s", ", ".join(removed))

    def _tell(self) -> None:
        self.status = replace(self._now, looked_at=now())
        document = json.dumps(asdict(self.status), indent=2, sort_keys=True)
        try:
            write_text(WorkspacePaths(self._workspace).sync_status, document, durable=False)
        except OSError as error:  # a full disk: probes answer all the same, and what serves goes on
            log.error("how sync stands cannot be written: %s", error)
