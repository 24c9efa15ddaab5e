"""Keeps a workspace in step with the channels of a store: its releases, its Triton, and at the end its pointer.

The pointer, which gateways follow, flips only when every release that it names is here, loaded, and has answered its
golden queries. Whatever fails before that, the last good releases go on serving; it is logged, counted, tried again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.adopt import adopt, without
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import signed_manifest
from shopfuse.publishing.loading import not_ready
from shopfuse.publishing.prune import prune, releases_kept
from shopfuse.publishing.publication_log import now
from shopfuse.publishing.reconcile import reconcile
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.ids import release_ids
from shopfuse.release_store.pointers import Pointers, read_pointers, remember, seen_generation
from shopfuse.release_store.pull import pull, sweep_pulls
from shopfuse.release_store.store import ReleaseStore, StoreError, StoreUnreachable
from shopfuse.triton.model_control import ModelControl

log = logging.getLogger(__name__)

RETRY_REFUSED_S = 60.0  # a refused release is read whole each time
TRITON_WITHIN_S = 3.0
OpenControl = Callable[[], AbstractContextManager[ModelControl | None]]


@dataclass(slots=True)
class SyncStatus:
    """WORKSPACE/run/sync.json, for probes and for people."""

    ready: bool = False  # the stable release is here, and Triton serves it
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
    """One look after the other; only one of them for a workspace."""

    def __init__(
        self,
        workspace: Path,
        store: ReleaseStore,
        open_control: OpenControl,
        *,
        public_key: Path,
        keep: int = 0,
        progress: Progress = silent,
    ) -> None:
        """`keep`: how many releases stay beside those in use. Raises StoreError in a workspace that builds releases."""
        if WorkspacePaths(workspace).private_key.exists():
            raise StoreError(
                f"{WorkspacePaths(workspace).private_key}: releases are built in this workspace, and sync would remove "
                "those that the store does not name: give it a workspace of its own, with the public key alone"
            )
        self.status = SyncStatus()
        self._workspace = workspace
        self._store = store
        self._open_control = open_control
        self._public_key = public_key
        self._keep = keep
        self._progress = progress
        self._refused: tuple[int, float, str] = 0, 0.0, ""  # generation, when it is tried again, why
        self._write()

    def look(self) -> SyncStatus:
        """Brings the workspace as near to the store's channels as can be; never raises what a user can repair."""
        before, self.status.problem = self.status.problem, ""
        self.status.looks += 1
        try:
            with self._open_control() as control:
                self._keep_served(control)
                self._follow(control)
                self._tidy(control)
        except (ShopfuseError, OSError) as error:
            self.status.problem = str(error)
            self.status.store_failures += isinstance(error, StoreError)
        if self.status.problem and self.status.problem != before:
            serving = self.status.channels.stable or "nothing"
            log.error("%s goes on serving: %s", serving, self.status.problem)
        if before and not self.status.problem:
            log.info("in step with %s again", self._store.url)
        self._write()
        return self.status

    def _keep_served(self, control: ModelControl | None) -> None:
        """A Triton that has started anew gets what the workspace names, whether or not the store answers."""
        channels = self.status.channels = read_channels(self._workspace)
        self.status.ready = self.status.in_step = False
        if control and not control.is_live(TRITON_WITHIN_S):
            raise PublishError(f"Triton at {control.address} does not answer")
        if not channels.stable:
            return
        if control and any(self._not_ready(control, name) for name in channels.in_use):
            done = reconcile(self._workspace, control, public_key=self._public_key, progress=self._progress)
            for name, problem in done.problems.items():
                log.error("%s is not served: %s", name, problem)
        self.status.ready = True

    def _not_ready(self, control: ModelControl, release_id: str) -> bool:
        return bool(not_ready(control, signed_manifest(self._workspace, release_id, self._public_key)))

    def _follow(self, control: ModelControl | None) -> None:
        pointers = read_pointers(self._store)
        if not pointers.generation:
            raise StoreError(f"{self._store.url}: nothing is published there yet")
        self.status.generation = pointers.generation
        wanted, (refused, retry_at, why) = pointers.channels, self._refused
        if wanted != self.status.channels and refused == pointers.generation and time.monotonic() < retry_at:
            raise PublishError(why)
        self.status.in_step = wanted == self.status.channels
        if not self.status.in_step:
            self._adopt(pointers, control)
        if self.status.generation != seen_generation(self._workspace, self._store):
            remember(self._workspace, self._store, pointers)

    def _adopt(self, pointers: Pointers, control: ModelControl | None) -> None:
        wanted = pointers.channels
        log.info("generation %d of %s: %s", pointers.generation, self._store.url, wanted)
        try:
            missing = self._pull_all(wanted)
            if wanted.stable in missing:
                raise PublishError(missing[wanted.stable])
            done = adopt(
                self._workspace,
                wanted,
                missing,
                control=control,
                public_key=self._public_key,
                progress=self._progress,
            )
        except StoreUnreachable:
            raise
        except ShopfuseError as error:
            self._refuse(pointers, str(error))
            raise
        self.status.channels, self.status.ready = without(wanted, done.problems), True
        self.status.changes += done.published is not None
        if done.problems:
            self._refuse(pointers, problem := "; ".join(done.problems.values()))
            raise PublishError(problem)
        self.status.in_step = True

    def _refuse(self, pointers: Pointers, why: str) -> None:
        self.status.refusals += 1
        self._refused = pointers.generation, time.monotonic() + RETRY_REFUSED_S, why

    def _pull_all(self, wanted: Channels) -> dict[str, str]:
        """Gives what cannot be had, and why. Raises StoreUnreachable: what is there already is not fetched again."""
        missing: dict[str, str] = {}
        here = release_ids(WorkspacePaths(self._workspace).releases)
        for name in wanted.in_use:
            if name in here and name in self.status.channels.in_use:
                continue
            try:
                pull(self._workspace, self._store, name, public_key=self._public_key, progress=self._progress)
            except StoreUnreachable:
                raise
            except ShopfuseError as error:
                missing[name] = str(error)
        return missing

    def _tidy(self, control: ModelControl | None) -> None:
        """Prunes what no channel names and no gateway holds any more."""
        channels = read_channels(self._workspace)
        sweep_pulls(self._workspace, channels.in_use)
        names = set(release_ids(WorkspacePaths(self._workspace).releases))
        if names - releases_kept(self._workspace, channels, self._keep).keys():
            done = prune(self._workspace, keep=self._keep, control=control, progress=self._progress)
            log.info("removed %s", ", ".join((*done.removed, *done.removed_models)))

    def _write(self) -> None:
        self.status.looked_at = now()
        document = json.dumps(asdict(self.status), indent=2, sort_keys=True)
        write_text(WorkspacePaths(self._workspace).sync_status, document, durable=False)
