"""Several processes train what one alone would."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from shopfuse.training.distributed.process_group import ProcessGroupError, joined
from tests.training.distributed import worker

WORLD_SIZE = 2
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}  # two processes share none, and the comparison is of float32


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run_workers(out: Path, *words: str) -> list[subprocess.CompletedProcess[str]]:
    """Starts them with the variables that torchrun would set, and waits for their end."""
    shared = {"WORLD_SIZE": str(WORLD_SIZE), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    root = Path(__file__).parents[3]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.distributed.worker", str(out), *words],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", **NO_GPU},
            cwd=root,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(WORLD_SIZE)
    ]
    ends = []
    for child in children:
        _, errors = child.communicate(timeout=300)  # no claim about speed: it ends a test whose processes hang
        ends.append(subprocess.CompletedProcess(child.args, child.returncode, "", errors))
    return ends


def test_two_processes_train_the_towers_that_one_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "towers.safetensors"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    ends = run_workers(out)

    assert [end.returncode for end in ends] == [0, 0], ends
    distributed = load_file(out)
    alone, metrics = worker.train()
    for name, expected in alone.items():
        assert torch.allclose(distributed[name], expected, atol=1e-4), name
    with safe_open(out, "pt") as file:
        history = json.loads(file.metadata()["history"].replace("'", '"'))
    assert history["validation"] == pytest.approx(metrics["tower_history"]["validation"], rel=1e-5)
    assert history["training"] == pytest.approx(metrics["tower_history"]["training"], rel=1e-5)


def test_a_process_that_dies_ends_the_training_of_the_others(tmp_path: Path) -> None:
    out = tmp_path / "towers.safetensors"

    first, second = run_workers(out, "die")

    assert second.returncode == 9
    assert first.returncode in (1, -signal.SIGABRT)  # torch may abort, on its way out, a process whose peer is gone
    assert "error: train towers: another process of the training is gone" in first.stderr
    assert not out.exists()


def test_a_process_without_a_gpu_of_its_own_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(ProcessGroupError, match="LOCAL_RANK 1: this machine has 1 GPUs"), joined():
        pass
