"""What completing costs: `python benchmarks/completion.py -w WORKSPACE`, and `--items 1000000` for made-up words.

A workspace's released shop is completed letter by letter through its own searches, in this process and over gRPC: by
one client and by several, each as fast as it can, then at fixed rates as shoppers come who know nothing of each other
(Poisson), beside the gateway on the same cores. A server that answers at once stands beside it: what gRPC and the
machine take. A made-up catalogue tells the size of its index, the
seconds to build it, and what a look-up takes.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import Queue, get_context
from pathlib import Path

import grpc
import numpy as np
import psutil
import uvloop

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.open_loop import poisson_load
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.completion.entries import CompletionEntries
from shopfuse.recall.completion.index import KINDS, CompletionIndex, write_completions
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.spelling import Spelling
from shopfuse.release.channels import read_channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.v1.completion_pb2 import (
    COMPLETION_KIND_QUERY,
    CompleteQueryRequest,
    CompleteQueryResponse,
    Completion,
)

METHOD = "/shopfuse.v1.CompletionService/CompleteQuery"
COMPLETIONS = 8
SYLLABLES = ("ba", "ko", "ri", "len", "tor", "mi", "sa", "vel", "du", "pran", "ne", "ost", "gi", "ur", "fal", "che")
WORDS, BRANDS, CATEGORIES = 60_000, 3_000, 4_000


def typed(texts: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """(every beginning of the texts, those of five letters and more with one letter mistyped), each once: one text
    after the other, letter by letter."""
    draw = random.Random(seed)
    beginnings = list(dict.fromkeys(text[:end] for text in texts for end in range(1, len(text) + 1)))
    long = [text for text in beginnings if len(text) >= 5]
    places = [draw.randrange(1, len(text)) for text in long]
    slips = [f"{text[:at]}{draw.choice('xqjy')}{text[at + 1 :]}" for text, at in zip(long, places, strict=True)]
    return beginnings, slips


def report(name: str, seconds: Sequence[float]) -> None:
    milliseconds = np.array(seconds) * 1e3
    p50, p99 = np.percentile(milliseconds, [50, 99])
    print(f"{name:<42} {len(seconds):>7} look-ups  p50 {p50:.3f} ms  p99 {p99:.3f} ms", flush=True)


def look_up(index: CompletionIndex, texts: Sequence[str]) -> Iterator[float]:
    """Seconds of each, asked for the first time: what was asked before is remembered."""
    for text in texts:
        started = time.perf_counter()
        index.complete(text, COMPLETIONS, KINDS)
        yield time.perf_counter() - started


def made_up(count: int, seed: int = 0) -> Iterator[CatalogueItem]:
    """Items with titles of four to eight words, some of which are much more frequent than others (Zipf)."""
    draw = np.random.default_rng(seed)
    names = ("".join(draw.choice(SYLLABLES, draw.integers(2, 5))) for _ in range(WORDS))
    words = list(dict.fromkeys(names))
    share = 1.0 / np.arange(1, len(words) + 1) ** 1.05
    numbers = draw.choice(len(words), (count, 8), p=share / share.sum())
    lengths = draw.integers(4, 9, count)
    for place in range(count):
        title = " ".join(words[number] for number in numbers[place, : lengths[place]].tolist())
        path = (f"Top {place % 20}", words[place % CATEGORIES])
        yield CatalogueItem(f"i{place:08d}", title, brand=words[place % BRANDS].title(), category=path)


def measure_made_up(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        items, popular = list(made_up(count)), np.random.default_rng(1).random(count).tolist()
        started = time.perf_counter()
        entries = CompletionEntries("en")
        for item, popularity in zip(items, popular, strict=True):
            entries.add(item, popularity)
        no_words = Spelling([], np.zeros(0, np.uint32), np.zeros(0, np.uint32))
        found = entries.entries((), (), no_words)
        write_completions(Path(folder), found, Analyser("en").stem)
        seconds = time.perf_counter() - started
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        print(f"{count} items: {len(found)} completions, {size:.1f} MB, built in {seconds:.0f} s", flush=True)
        started = time.perf_counter()
        index = CompletionIndex.open(Path(folder))
        print(f"opened in {(time.perf_counter() - started) * 1e3:.1f} ms")
        beginnings, slips = typed(random.Random(0).sample([one.text for one in found], 500))
        report("as typed", list(look_up(index, shuffled(beginnings))))
        report("with a slip", list(look_up(index, shuffled(slips))))


def shuffled(texts: Sequence[str]) -> list[str]:
    """So that no look-up can learn from the one before."""
    return random.Random(0).sample(texts, len(texts))


def measure_shop(root: Path, clients: int, seconds: float, rates: Sequence[float]) -> None:
    release = WorkspacePaths(root).release(read_channels(root).stable)
    events = Workspace.open(root).events().select("query").drop_nulls().unique().collect()["query"]
    searches = sorted(events.to_list()) or [item.title for item in made_up(500)]
    beginnings, slips = typed(shuffled(searches)[:500])
    for name, texts in (
        ("letter by letter", beginnings),
        ("in any order", shuffled(beginnings)),
        ("with a slip, in any order", shuffled(slips)),
    ):
        index = CompletionIndex.open(ReleaseLayout(release).completion)
        report(f"in one process, {name}", list(look_up(index, texts)))
    requests = tuple(CompleteQueryRequest(prefix=text[:128]).SerializeToString() for text in beginnings)
    with empty_server() as (address, pid):
        load = Load(address, METHOD, requests, clients, seconds)
        measure_loads("empty server", pid, load, rates)
    with local_stack(root, StackOptions(log_impressions=False)) as stack:
        load = Load(stack.endpoints.grpc, METHOD, requests, clients, seconds)
        measure_loads("gateway", stack.gateway.pid, load, rates)


def measure_loads(server: str, pid: int, load: Load, rates: Sequence[float]) -> None:
    closed = [
        (f"{count} client{'s' * (count > 1)}, closed", partial(run_load, replace(load, clients=count)))
        for count in (1, load.clients)
    ]
    for name, send in (*closed, *((f"{rate:g} a second", partial(poisson_load, load, rate)) for rate in rates)):
        before = cpu_seconds(pid)
        result = send()
        used = cpu_seconds(pid) - before
        report(f"{server}, {name}", result.latencies_s)
        share, each_ms = used / (load.warm_up_s + load.seconds), used * 1e3 / max(result.sent, 1)
        answered = len(result.latencies_s) / load.seconds
        print(
            f"  {answered:.0f} a second; processor: {share:.0%}, {each_ms:.2f} ms each; {result.errors or 'no'} errors"
        )


@contextmanager
def empty_server() -> Iterator[tuple[str, int]]:
    """(address, process id) of one that answers at once, in a process of its own."""
    context = get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=serve_empty, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{ports.get(timeout=30)}", process.pid or 0
    finally:
        process.kill()
        process.join()


def serve_empty(ports: Queue[int]) -> None:
    completions = [Completion(kind=COMPLETION_KIND_QUERY, text=f"oak table {number}", items=9) for number in range(8)]
    answer = CompleteQueryResponse(completions=completions, request_id="0" * 36).SerializeToString()

    async def answer_at_once(_request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return answer

    async def serve() -> None:
        server = grpc.aio.server()
        _, service, method = METHOD.split("/")
        handlers = {method: grpc.unary_unary_rpc_method_handler(answer_at_once)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        ports.put(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    uvloop.run(serve())


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workspace", type=Path, help="a shop with a published release")
    parser.add_argument("--items", type=int, default=0, help="of a made-up catalogue")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rates", type=float, nargs="*", default=(200, 500, 1000), help="requests a second")
    arguments = parser.parse_args()
    if arguments.items:
        measure_made_up(arguments.items)
    if arguments.workspace:
        measure_shop(arguments.workspace, arguments.clients, arguments.seconds, arguments.rates)


if __name__ == "__main__":
    main()
