"""Starts a server under guard.py and holds the lifeline that keeps it running."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfuse.triton import guard

CLEAN_UP_S = 5.0  # what a guard may need beyond the stop timeout to kill, reap and remove


@dataclass(frozen=True, slots=True)
class GuardedProcess:
    """A server that ends when `stop` is called or this process dies."""

    pid: int
    guard: "subprocess.Popen[bytes]"
    lifeline: int
    stop_timeout_s: float

    @property
    def exit_code(self) -> int | None:
        """None while the server or its clean-up runs; then the server's code, 128 + signal if one killed it."""
        return self.guard.poll()

    def stop(self) -> None:
        """Returns when the server, all that it started and its shared memory are gone. Call it once."""
        os.close(self.lifeline)
        self.guard.terminate()  # too: a forked child of this process may hold the lifeline's other copy
        try:
            self.guard.wait(self.stop_timeout_s + CLEAN_UP_S)
        except subprocess.TimeoutExpired:
            self.guard.kill()  # takes the server with it
            self.guard.wait()


def start_guarded(
    command: Sequence[str],
    environment: Mapping[str, str],
    log_file: Path,
    run_directory: Path,
    shared_memory_prefix: str,
    stop_timeout_s: float,
) -> GuardedProcess:
    """Runs the command in the run directory, which the guard removes at the end; its output is appended to the log."""
    read_end, lifeline = os.pipe()
    arguments = [str(read_end), shared_memory_prefix, str(run_directory), str(stop_timeout_s), *command]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[read_end],
            start_new_session=True,  # a terminal's Ctrl-C is for the caller, who then stops the server in order
        )
    os.close(read_end)
    assert process.stdout is not None
    with process.stdout as told:
        pid = int(told.readline() or 0)
    return GuardedProcess(pid, process, lifeline, stop_timeout_s)
