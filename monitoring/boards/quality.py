"""How good answers are, as far as a gateway can tell: whole, found by many channels, from fresh data."""

from __future__ import annotations

from monitoring.panels import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row, quantiles, rate, ratio

CANDIDATES, AGE = "shopfuse_candidates", "shopfuse_feature_age_seconds"
NOTHING = 'shopfuse_candidates_bucket{le="0.0"}'
TOTAL = "shopfuse_release_answers_total"
ANSWERS = f"sum(rate({TOTAL}[$__rate_interval]))"

BOARD = Board(
    "shopfuse-quality",
    "shopfuse: quality",
    "Whether answers are whole, what they are chosen from, and how old that is.",
    (
        Row(
            "Whole answers",
            (
                Panel(
                    "Degraded",
                    SHARE,
                    (
                        Query(
                            ratio('shopfuse_release_answers_total{outcome="degraded"}', TOTAL, "instance"),
                            "{{instance}}",
                        ),
                    ),
                    maximum=1,
                    bad_above=0.01,
                ),
                Panel(
                    "Degraded, by stage and reason",
                    SHARE,
                    (
                        Query(
                            f"{rate('shopfuse_degraded_total', 'stage', 'reason')} / scalar({ANSWERS})",
                            "{{stage}} {{reason}}",
                        ),
                    ),
                    width=16,
                ),
            ),
        ),
        Row(
            "Candidates",
            (
                Panel(
                    "Found by a channel, mean",
                    COUNT,
                    (Query(ratio(f"{CANDIDATES}_sum", f"{CANDIDATES}_count", "channel"), "{{channel}}"),),
                ),
                Panel(
                    "Channel found nothing",
                    SHARE,
                    (Query(ratio(NOTHING, f"{CANDIDATES}_count", "channel"), "{{channel}}"),),
                    "lexical: no item holds the words. again: the user bought nothing yet.",
                    maximum=1,
                ),
                Panel("Asked", PER_SECOND, (Query(rate(f"{CANDIDATES}_count", "channel"), "{{channel}}"),)),
            ),
        ),
        Row(
            "Fresh data",
            (
                Panel(
                    "Missing in the feature store",
                    PER_SECOND,
                    (Query(rate("shopfuse_feature_missing_total", "feature"), "{{feature}}"),),
                    "user: nobody that the store knows. item: rows of candidates.",
                ),
                Panel(
                    "Oldest row of a request",
                    SECONDS,
                    tuple(
                        Query(
                            f"histogram_quantile({level}, sum by (le) (rate({AGE}_bucket[$__rate_interval])))",
                            f"p{level * 100:g}",
                        )
                        for level in (0.5, 0.99)
                    ),
                ),
                Panel(
                    "Impressions not logged",
                    PER_SECOND,
                    (Query(rate("shopfuse_impressions_dropped_total", "reason"), "{{reason}}"),),
                ),
            ),
        ),
        Row(
            "Time",
            (
                Panel(
                    "Time of requests", SECONDS, quantiles("grpc_server_handling_seconds", "grpc_method", 0.9), width=24
                ),
            ),
        ),
    ),
)
