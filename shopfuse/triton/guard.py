"""Keeps a tritonserver from outliving whoever asked for it, and removes what it leaves behind.

`start_guarded` starts the guard, a process of its own, and with it the server; this file is both ends, and standard
library only: `python -I guard.py LIFELINE SHM_PREFIX RUN_DIRECTORY STOP_TIMEOUT_S COMMAND...`
The guard prints the server's pid, then waits for the first of: the server ends; SIGTERM; LIFELINE (a pipe's read end,
inherited) closes, because the owner of the other end stopped the server or died, however it died. Then it stops the
server (SIGTERM, after a while SIGKILL), kills and reaps all that the server started, and removes its shared memory
and the run directory. If the guard itself is killed with -9, the kernel kills the server, whose children notice;
shared memory that nobody could remove then is removed by the next guard on the machine. It does not restart anything.
"""

import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SHARED_MEMORY = Path("/dev/shm")
LOCKS = "shopfuse-*.lock"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOOK_EVERY_MS = 50
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
            [sys.executable, "-I", __file__, *arguments],
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


def main(arguments: Sequence[str]) -> int:
    """Runs one server to its end; the exit code is the server's (128 + signal if it died of one)."""
    lifeline, prefix, run_directory, stop_timeout_s, *command = arguments
    told = sigterm_told()
    libc(PR_SET_CHILD_SUBREAPER, 1)
    sweep()
    with claim(prefix, run_directory):
        server = spawn(command, Path(run_directory))
        try:
            wait_for_end(server, (int(lifeline), told))
        finally:
            stop(server, float(stop_timeout_s))
            remove_leavings(prefix, run_directory)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def sigterm_told() -> int:
    """A descriptor that has something to read once SIGTERM has come.

    An exception in the handler could cut the clean-up short: the lifeline closes and SIGTERM comes at the same time.
    """
    read_end, write_end = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(write_end, b"."))
    return read_end


def libc(option: int, value: int) -> None:
    """prctl(2), which Python does not wrap."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def sweep() -> None:
    """Removes what this user's guards left that died without doing so: the kernel has released their locks."""
    for lock in SHARED_MEMORY.glob(LOCKS):
        try:
            if lock.stat().st_uid == os.getuid():
                with lock.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_leavings(lock.stem, file.read())
        except (BlockingIOError, FileNotFoundError):
            continue  # its guard lives, or another guard was faster


def claim(prefix: str, run_directory: str) -> IO[str]:
    """Holds the lock that says: the shared memory under this prefix and the run directory are in use."""
    file = (SHARED_MEMORY / f"{prefix}.lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(run_directory)
    file.flush()
    return file


def remove_leavings(prefix: str, run_directory: str) -> None:
    """Removes the run directory, every region under the prefix, and its lock."""
    if run_directory:  # a guard may die before it has written it
        shutil.rmtree(run_directory, ignore_errors=True)
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def spawn(command: Sequence[str], run_directory: Path) -> "subprocess.Popen[bytes]":
    """Starts the server in a process group of its own, to die with this process, and tells its pid.

    In the run directory, because Triton's Python processes put the working directory first on their import path.
    """
    server = subprocess.Popen(
        command,
        cwd=run_directory,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        process_group=0,
        preexec_fn=lambda: libc(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    print(server.pid, flush=True)
    return server


def wait_for_end(server: "subprocess.Popen[bytes]", ends: Sequence[int]) -> None:
    """Returns when the server has ended or one of the descriptors has: closed, or something to read."""
    poller = select.poll()
    for end in ends:
        poller.register(end, select.POLLIN)
    while server.poll() is None and not poller.poll(LOOK_EVERY_MS):
        pass


def stop(server: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    """Ends the server and everything that it started, and returns when nothing of it is left."""
    server.terminate()
    try:
        server.wait(timeout_s)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    reap()


def reap() -> None:
    """Waits for the server's orphans; they are this process's children now."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
