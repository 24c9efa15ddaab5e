"""A process that publishes, and is killed or runs out of space on the way: `python publishing_child.py JSON`."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

REFUSED = 3


def run_child(**arguments: Path | str | int) -> subprocess.CompletedProcess[str]:
    """Arguments: workspace, release, triton ("" for none), and one of

    step and done (killed when that progress is reported), sync (killed at the n-th flush to disk), file_size (in bytes,
    the largest file that it can write).
    """
    command = [sys.executable, __file__, json.dumps(arguments, default=str)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_sync(count: int) -> None:
    flush, seen = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            die()
        flush(descriptor)

    os.fsync = counted  # type: ignore[assignment]


def main(
    workspace: str,
    release: str,
    triton: str = "",
    step: str = "",
    done: int = 0,
    sync: int = 0,
    file_size: int = resource.RLIM_INFINITY,
) -> int:
    from shopfuse.core.workspace_paths import WorkspacePaths
    from shopfuse.publishing.errors import PublishError
    from shopfuse.publishing.publish import publish
    from shopfuse.triton.model_control import ModelControl

    die_at = f"publish: {step}", done

    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == die_at:
            die()

    die_at_sync(sync)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY))
    root = Path(workspace)
    with ModelControl(triton) if triton else nullcontext() as control:
        try:
            publish(root, release, control=control, public_key=WorkspacePaths(root).public_key, progress=progress)
        except PublishError as error:
            print(error)
            return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))
