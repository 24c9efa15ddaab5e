"""What `bench rank` and `bench search` tell of the gateway: added time, share of the throughput, processor time."""

from __future__ import annotations

import pytest

from shopfuse.loadtest.closed_loop import Load
from shopfuse.loadtest.gateway_cost import GatewayCost, compare_loads
from tests.loadtest.busy_server import METHOD, busy_server

CPU_MS = 20.0


def test_the_processor_time_of_a_request_is_that_of_the_process_that_answers_it() -> None:
    with busy_server(CPU_MS) as (gateway, pid), busy_server(1.0) as (triton, _):
        through = Load(gateway, METHOD, (b"a", b"b"), 1, seconds=1.0, warm_up_s=0.2)
        direct = Load(triton, METHOD, (b"a", b"b", b"c", b"d"), 1, seconds=0.5, warm_up_s=0.2)

        cost = compare_loads(through, direct, (1, 2), pid)

    assert CPU_MS <= cost.cpu_ms < 1.5 * CPU_MS
    assert cost.calls_each == 2
    assert [row["name"] for row in cost.rows] == [
        *("gateway, 1 client", "Triton directly, 1 client"),
        *("gateway, 2 clients", "Triton directly, 2 clients"),
    ]
    assert all(row["errors"] == 0 for row in cost.rows)


def test_the_gateway_is_charged_for_what_its_triton_calls_do_not_take() -> None:
    speeds, medians = (50.0, 200.0, 100.0, 400.0), (12.0, 4.0, 30.0, 9.0)
    rows: list[dict[str, object]] = [
        {"requests_per_s": speed, "p50_ms": ms} for speed, ms in zip(speeds, medians, strict=True)
    ]

    summary = GatewayCost(rows, calls_each=2.0, cpu_ms=3.0).summary()

    assert summary["gateway_added_p50_ms"] == pytest.approx(12.0 - 2 * 4.0)
    assert summary["throughput_share_of_triton"] == pytest.approx(100.0 * 2 / 400.0)
    assert summary["triton_calls_per_request"] == 2.0
    assert summary["gateway_cpu_ms_per_request"] == 3.0
