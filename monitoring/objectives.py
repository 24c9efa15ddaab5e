"""The service level objectives: a row for each, and how its bad share and its total are counted.

An objective is a share of good requests over 30 days. Alerts look at how fast the rest of it, the error budget, burns.
"""

from __future__ import annotations

from dataclasses import dataclass

# What a caller gets instead of a list. A refusal is bad too: the caller is not at fault when gateways are full.
BAD_CODES = ("Unknown", "DeadlineExceeded", "ResourceExhausted", "Internal", "Unavailable", "DataLoss")
PERIOD = "30d"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Objective:
    """`bad` and `total` are requests a second over five minutes, as PromQL."""

    slo: str  # availability, latency or whole_answers
    rpc: str
    share: float  # of good requests
    bad: str
    total: str
    promise: str
    reason: str


def _availability(rpc: str, share: float, reason: str) -> Objective:
    total = f'grpc_server_handled_total{{grpc_method="{rpc}"}}'
    bad = f'grpc_server_handled_total{{grpc_method="{rpc}",grpc_code=~"{"|".join(BAD_CODES)}"}}'
    return Objective(
        "availability", rpc, share, f"sum(rate({bad}[5m]))", f"sum(rate({total}[5m]))", "is answered", reason
    )


def _latency(rpc: str, share: float, within_s: float, reason: str) -> Objective:
    """`within_s` is an edge of the histogram."""
    total = f'sum(rate(grpc_server_handling_seconds_count{{grpc_method="{rpc}"}}[5m]))'
    good = f'sum(rate(grpc_server_handling_seconds_bucket{{grpc_method="{rpc}",le="{within_s}"}}[5m]))'
    return Objective(
        "latency", rpc, share, f"{total} - {good}", total, f"is answered within {within_s * 1000:g} ms", reason
    )


def _whole(share: float, reason: str) -> Objective:
    bad = 'sum(rate(shopfuse_release_answers_total{outcome="degraded"}[5m]))'
    return Objective(
        "whole_answers", ALL, share, bad, "sum(rate(shopfuse_release_answers_total[5m]))", "is not degraded", reason
    )


_LIST = "a page of the shop waits for it; three nines allow 43 minutes without lists in 30 days"
_PAGE = "a part of a page that is drawn in 200 to 300 ms; the benchmarks' p99 is 23 to 73 ms on two shared cores"
OBJECTIVES = (
    _availability("Search", 0.999, _LIST),
    _availability("Recommend", 0.999, _LIST),
    _availability("RecommendSimilarItems", 0.999, _LIST),
    _availability("RankItems", 0.999, _LIST),
    _availability("ClassifyText", 0.995, "nobody waits for it, and without Triton it has no honest answer"),
    _availability("CompleteQuery", 0.995, "a shopper who is shown no completion types on"),
    _latency("Search", 0.99, 0.1, _PAGE),
    _latency("Recommend", 0.99, 0.1, _PAGE),
    _latency("RecommendSimilarItems", 0.99, 0.1, _PAGE),
    _latency("RankItems", 0.99, 0.05, "its caller has the items already; the benchmarks' p99 is 19 ms, one client"),
    _latency("ClassifyText", 0.99, 1.0, "batches of up to 16 long texts; half of its deadline"),
    _latency("CompleteQuery", 0.99, 0.005, "between two letters lie 100 to 200 ms, most of which the network takes"),
    _whole(0.99, "a degraded answer is a list, only a worse one; 1 % is 7 hours in 30 days"),
)


@dataclass(frozen=True, slots=True)
class BurnWindows:
    """Burning `factor` times as fast as the budget allows, over the long window and still in the short one."""

    long: str
    short: str
    factor: float
    severity: str


# The Site Reliability Workbook, chapter 5, table 5-8: 2 % of the budget in an hour, 5 % in six, 10 % in three days.
BURN_WINDOWS = (
    BurnWindows("1h", "5m", 14.4, "page"),
    BurnWindows("6h", "30m", 6, "page"),
    BurnWindows("3d", "6h", 1, "ticket"),
)
# Fewer bad requests than this, in an hour for a page and in six for a ticket, are told to nobody: in little traffic one
# failure is a large share.
FEW_BAD_REQUESTS = 10
COUNTED_WINDOWS = {"page": "1h", "ticket": "6h"}
