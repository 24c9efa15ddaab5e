"""Where the time of a request goes, and which stage is missing from answers."""

from __future__ import annotations

from monitoring.panels import PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row, quantiles, rate, ratio

STAGE, TRITON = "shopfuse_stage_duration_seconds", "shopfuse_triton_request_seconds"
CACHE = "shopfuse_cache_events_total"

BOARD = Board(
    "shopfuse-request-path",
    "shopfuse: request path",
    "The stages of docs/architecture.md, in time and in failures.",
    (
        Row(
            "Stages",
            (
                Panel("Median time", SECONDS, quantiles(STAGE, "stage", 0.5)),
                Panel("99th percentile", SECONDS, quantiles(STAGE, "stage", 0.99)),
                Panel(
                    "Share of the time",
                    SHARE,
                    (
                        Query(
                            f"{rate(f'{STAGE}_sum', 'stage')} / scalar(sum(rate({STAGE}_sum[$__rate_interval])))",
                            "{{stage}}",
                        ),
                    ),
                    maximum=1,
                ),
                Panel("Runs", PER_SECOND, (Query(rate(f"{STAGE}_count", "stage"), "{{stage}}"),)),
                Panel(
                    "Answers without it",
                    PER_SECOND,
                    (Query(rate("shopfuse_degraded_total", "stage", "reason"), "{{stage}} {{reason}}"),),
                    "A stage that failed or was late; the answer names it in degradations[].",
                    width=16,
                ),
            ),
        ),
        Row(
            "Calls to Triton, as the gateway sees them",
            (
                Panel("Median time", SECONDS, quantiles(TRITON, "model", 0.5)),
                Panel("99th percentile", SECONDS, quantiles(TRITON, "model", 0.99)),
                Panel("Calls", PER_SECOND, (Query(rate(f"{TRITON}_count", "model"), "{{model}}"),)),
            ),
        ),
        Row(
            "What is asked twice, and what is not told",
            (
                Panel(
                    "Found in the cache",
                    SHARE,
                    (Query(ratio(f'{CACHE}{{outcome="hit"}}', CACHE, "cache"), "{{cache}}"),),
                    maximum=1,
                ),
                Panel(
                    "Look-ups",
                    PER_SECOND,
                    (Query(rate(CACHE, "cache", "outcome"), "{{cache}} {{outcome}}"),),
                ),
                Panel(
                    "Spans that no collector got",
                    PER_SECOND,
                    (Query(rate("shopfuse_trace_spans_dropped_total", "reason"), "{{reason}}"),),
                ),
            ),
        ),
    ),
)
