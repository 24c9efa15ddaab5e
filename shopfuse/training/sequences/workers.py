"""Independent pieces of work over several processes, one core each, with their progress reported in one place.

Training many small models is fastest so: two processes of one thread finish more than one process of two. What is
passed to a process and back is held in memory, never in files.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import torch

from shopfuse.core.progress import Progress

_POLL_S = 0.2

_data: Any = None  # of this worker process
_reports: Any = None


@dataclass(frozen=True, slots=True)
class Piece:
    """`work(data, *arguments, progress)`; `data` is the same for all pieces and sent to each process once."""

    work: Callable[..., Any]
    arguments: tuple[Any, ...]


class Workers:
    """`count` processes, each with one thread; with one, the work is done here. Leaving the block ends them."""

    def __init__(self, count: int, data: object, progress: Progress) -> None:
        self._data, self._progress = data, progress
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            context = multiprocessing.get_context("spawn")
            self._reports = context.Queue()
            self._pool = ProcessPoolExecutor(count, context, _begin, (data, self._reports))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def results(self, pieces: Sequence[Piece]) -> list[Any]:
        """What each piece gives, in their order; the first error of any is raised."""
        return self.finish(self.start(pieces))

    def start(self, pieces: Sequence[Piece]) -> list[Future[Any]]:
        """Begins the pieces, for `finish` to wait for; without other processes they are done here and now."""
        if self._pool is not None:
            return [self._pool.submit(_run, piece) for piece in pieces]
        done: list[Future[Any]] = [Future() for _ in pieces]
        for future, piece in zip(done, pieces, strict=True):
            future.set_result(piece.work(self._data, *piece.arguments, self._progress))
        return done

    def finish(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """What the started pieces give, in their order; the first error of any is raised."""
        waiting: set[Future[Any]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, _POLL_S)
            self._pass_on()
            for future in done:
                future.result()
        return [future.result() for future in futures]

    def _pass_on(self) -> None:
        while self._pool is not None:
            try:
                self._progress(*self._reports.get_nowait())
            except queue.Empty:
                return


def _begin(data: object, reports: Any) -> None:
    global _data, _reports
    _data, _reports = data, reports
    torch.set_num_threads(1)


def _run(piece: Piece) -> Any:
    return piece.work(_data, *piece.arguments, lambda *report: _reports.put(report))
