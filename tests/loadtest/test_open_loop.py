"""A load that does not wait for answers sees what a load that waits for them hides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.open_loop import poisson_load
from tests.loadtest.busy_server import METHOD, busy_server

CPU_MS = 20.0


def test_calls_that_come_faster_than_they_are_answered_wait_ever_longer() -> None:
    with busy_server(CPU_MS) as (address, _):
        load = Load(address, METHOD, (b"a", b"b"), 1, seconds=1.5, warm_up_s=0.2)
        closed = run_load(load)
        slow, fast = poisson_load(load, 5.0), poisson_load(load, 150.0)

    assert not closed.errors | slow.errors | fast.errors
    assert 0.6 * 150 * 1.5 < len(fast.latencies_s) < 1.4 * 150 * 1.5
    assert np.median(fast.latencies_s) > 5 * np.median(slow.latencies_s)
    assert np.median(fast.latencies_s) > 5 * np.median(closed.latencies_s)


def test_a_refused_call_is_an_error_and_no_latency() -> None:
    with busy_server(0.0) as (address, _):
        load = Load(address, "/busy.Busy/Other", (b"a",), 2, seconds=0.5, warm_up_s=0.1)

        refused = poisson_load(replace(load, metadata=(("who", "me"),)), 50.0)

    assert not refused.latencies_s
    assert refused.errors.keys() == {"UNIMPLEMENTED"}
    assert refused.sent > refused.errors["UNIMPLEMENTED"] > 10
