"""Two releases in turn under steady load: publish, canary, promote and roll back, and what the callers see of it.

Every answer is held against the manifest of the release that it names: an answer whose models or tasks are another
release's is counted as mixed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.loadtest.open_loop import Front, ObservedCall, SteadyLoad, steady_load
from shopfuse.loadtest.requests import search_requests
from shopfuse.local.stack import Stack, StackOptions, local_stack
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import read_manifest
from shopfuse.triton.model_control import ModelControl
from shopfuse.v1.search_pb2 import SearchRequest

USERS = 500  # so that a canary has a share to take
CANARY = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    take: Callable[[], object]


def roll_releases(
    workspace: Path, first: str, second: str, rate: float, seconds: float, progress: Progress = silent
) -> list[dict[str, object]]:
    """One row for each step, taken from `first` to `second` and back, each under its own load: `rate` searches a
    second for `seconds`."""
    manifests = {name: read_manifest(WorkspacePaths(workspace).release(name)) for name in (first, second)}
    publish(workspace, first, control=None, public_key=WorkspacePaths(workspace).public_key)
    with local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
        return _measured(stack, workspace, manifests, second, rate, seconds, progress)


def _measured(
    stack: Stack,
    workspace: Path,
    manifests: Mapping[str, Manifest],
    second: str,
    rate: float,
    seconds: float,
    progress: Progress,
) -> list[dict[str, object]]:
    rows = []
    requests = tuple(request.SerializeToString() for request in many_users(workspace))
    with ModelControl(stack.endpoints.triton_grpc) as control:
        taken = steps(workspace, second, control)
        for done, step in enumerate(taken):
            progress("roll releases under load", done, len(taken))
            load = SteadyLoad(Front(stack.endpoints.grpc), requests, rate, seconds)
            with steady_load(load) as future:
                took_s = _take(step, future, seconds / 3)
                observed = future.result()
            rows.append(row_of(step.name, took_s, observed, manifests))
    return rows


def many_users(workspace: Path) -> list[SearchRequest]:
    """The shop's searches, each asked by several users."""
    seen = search_requests(workspace)
    return [SearchRequest(query=seen[at % len(seen)].query, user_id=f"user-{at:06d}") for at in range(USERS)]


def steps(workspace: Path, second: str, control: ModelControl) -> tuple[Step, ...]:
    key = WorkspacePaths(workspace).public_key
    return (
        Step("publish", lambda: publish(workspace, second, control=control, public_key=key, progress=silent)),
        Step("roll back", lambda: rollback(workspace, control=control, public_key=key, progress=silent)),
        Step("canary", lambda: publish(workspace, second, control=control, public_key=key, share=CANARY)),
        Step("promote", lambda: promote(workspace, control=control, public_key=key, progress=silent)),
        Step("roll back again", lambda: rollback(workspace, control=control, public_key=key, progress=silent)),
    )


def _take(step: Step, load: Future[list[ObservedCall]], after_s: float) -> float:
    """Takes the step in the midst of the load; gives its seconds."""
    begins = time.monotonic() + after_s
    while not load.done() and time.monotonic() < begins:
        time.sleep(0.05)
    started = time.monotonic()
    step.take()
    return time.monotonic() - started


def row_of(
    name: str, took_s: float, observed: Sequence[ObservedCall], manifests: Mapping[str, Manifest]
) -> dict[str, object]:
    milliseconds = np.array([call.latency_s for call in observed]) * 1e3
    answered = [call for call in observed if call.status == "OK"]
    answers = Counter(call.release if call.status == "OK" else call.status for call in observed)
    return {
        "name": name,
        "step_s": round(took_s, 2),
        "requests": len(observed),
        "errors": len(observed) - len(answered),
        "mixed": sum(is_mixed(call, manifests) for call in answered),
        "degraded": sum(call.degraded for call in answered),
        "unsteady_users": unsteady(answered),
        "p50_ms": float(np.percentile(milliseconds, 50)),
        "p99_ms": float(np.percentile(milliseconds, 99)),
        "answers": ", ".join(f"{kind} {count}" for kind, count in sorted(answers.items())),
    }


def is_mixed(call: ObservedCall, manifests: Mapping[str, Manifest]) -> bool:
    """Whether an answer has models or tasks that the release it names does not have."""
    manifest = manifests.get(call.release)
    if manifest is None:
        return True
    versions = tuple(sorted((name, model.version) for name, model in manifest.models.items()))
    return call.versions != versions or not set(call.tasks) <= manifest.tasks.keys()


def unsteady(answered: Sequence[ObservedCall]) -> int:
    """Users who went from one release to another more than once: the flip moves each at most one time."""
    changes: Counter[str] = Counter()
    last: dict[str, str] = {}
    for call in sorted(answered, key=lambda call: call.sent_at):
        changes[call.user] += last.setdefault(call.user, call.release) != call.release
        last[call.user] = call.release
    return sum(count > 1 for count in changes.values())
