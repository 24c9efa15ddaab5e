"""Encodes a large catalogue, kills the encoding half-way, resumes it, and compares the bytes with an unbroken run.

    OMP_NUM_THREADS=1 python benchmarks/encoding.py --items 100000

Prints the items a second, and the memory of the process by the share of the catalogue that is done: RssAnon is what it
really holds, VmRSS counts the pages of mapped files too. Items come from the demo shop's catalogue; nothing is trained.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from shopfuse.datasets.demo_shop.catalogue.rows import item_rows
from shopfuse.datasets.demo_shop.world.world import simulate_shop
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.workspace import Workspace
from shopfuse_exporters.encoding.parts import part_files
from shopfuse_exporters.encoding.plan import CHUNK

ENCODE = "import typer; from shopfuse.cli.encode import encode; typer.run(encode)"
LOOK_EVERY_S = 0.5


def make_workspace(root: Path, items: int) -> Workspace:
    workspace = Workspace.create(root)
    write_parquet(workspace.paths.items, item_rows(simulate_shop(items=items, users=50, days=3, seed=0)))
    return workspace


def start(workspace: Workspace) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ENCODE, "-w", str(workspace.root)])


def parts_done(workspace: Workspace) -> int:
    return len(list(part_files(workspace.paths.text_vectors)))


def memory_mb(pid: int) -> tuple[int, int]:
    """(anonymous, resident); zeros once the process is gone."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.NoSuchProcess:
        return 0, 0
    return (memory.rss - memory.shared) >> 20, memory.rss >> 20


def watch(process: subprocess.Popen[bytes], workspace: Workspace, chunks: int, kill_at: int | None = None) -> None:
    """Prints memory at every tenth of the catalogue until the process ends; kills it when `kill_at` chunks are done."""
    said = -1
    while process.poll() is None:
        done = parts_done(workspace)
        if kill_at is not None and done >= kill_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"killed with {parts_done(workspace)} of {chunks} chunks on disk", flush=True)
            return
        if (tenth := done * 10 // chunks) > said and done:
            said = tenth
            anonymous, whole = memory_mb(process.pid)
            print(f"  {done:>4} of {chunks} chunks: RssAnon {anonymous} MB, VmRSS {whole} MB", flush=True)
        time.sleep(LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit(f"encode ended with {process.returncode}")


def sha256_of_vectors(workspace: Workspace) -> str:
    (path,) = (workspace.paths.text_vectors).glob("*/known-*/vectors.npy")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def timed(label: str, workspace: Workspace, chunks: int, kill_at: int | None = None) -> None:
    print(f"{label}:", flush=True)
    began = time.perf_counter()
    watch(start(workspace), workspace, chunks, kill_at)
    print(f"  {time.perf_counter() - began:.1f} s with start and export", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("encoding-benchmark"), help="Made, then removed.")
    options = parser.parse_args()
    chunks = -(-options.items // CHUNK)  # the demo shop's texts all differ
    print(f"{options.items} items, {len(os.sched_getaffinity(0))} processors, {chunks} chunks of {CHUNK}", flush=True)
    unbroken = make_workspace(options.folder.absolute() / "unbroken", options.items)
    try:
        broken = make_workspace(options.folder.absolute() / "broken", options.items)
        timed("unbroken run", unbroken, chunks)
        timed("run killed half-way", broken, chunks, chunks // 2)
        timed("resumed run", broken, chunks)
        equal = sha256_of_vectors(unbroken) == sha256_of_vectors(broken)
        print(f"vectors {sha256_of_vectors(unbroken)[:16]}: {'the same bytes' if equal else 'DIFFERENT BYTES'}")
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
