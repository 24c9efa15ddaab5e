"""How good answers are, as far as a gateway can tell: whole, found by many channels, from fresh data."""

from __future__ import annotations

from monitoring.alerts import MOST_EMPTY
from monitoring.panels import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row, quantiles, rate, ratio

CANDIDATES, AGE = "shopfuse_candidates", "shopfuse_feature_age_seconds"
NOTHING = 'shopfuse_candidates_bucket{le="0.0"}'
TOTAL = "shopfuse_release_answers_total"
ANSWERS = f"sum(rate({TOTAL}[$__rate_interval]))"

EMPTY, ANSWERED = "shopfuse_zero_results_total", 'grpc_server_handled_total{grpc_code="OK"}'


def _ages(metric: str) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({level}, sum by (le) (rate({metric}_bucket[$__rate_interval])))", f"p{level * 100:g}"
        )
        for level in (0.5, 0.99)
    )


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
            "What shoppers get",
            (
                Panel(
                    "Answers without an item",
                    SHARE,
                    (Query(f"{rate(EMPTY, 'grpc_method')} / {rate(ANSWERED, 'grpc_method')}", "{{grpc_method}}"),),
                    "Of those that are answered.",
                    maximum=1,
                    bad_above=MOST_EMPTY,
                ),
                Panel(
                    "Score of the first item, median",
                    SHARE,
                    (
                        Query(
                            "histogram_quantile(0.5, sum by (le, release_id, grpc_method)"
                            " (rate(shopfuse_top_score_bucket[$__rate_interval])))",
                            "{{release_id}} {{grpc_method}}",
                        ),
                    ),
                    "Of whole answers. It moves with the ranker: one that moves without a release is worth a look.",
                    maximum=1,
                ),
                Panel(
                    "Newest event of a known user",
                    SECONDS,
                    _ages("shopfuse_user_event_age_seconds"),
                    "Growing together with the clock: events no longer arrive.",
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
                    SHARE,
                    (
                        Query(
                            ratio("shopfuse_feature_missing_total", "shopfuse_feature_reads_total", "feature"),
                            "{{feature}}",
                        ),
                    ),
                    "Of what it was asked for. user: nobody that the store knows. item: rows of candidates.",
                ),
                Panel(
                    "Oldest row of a request",
                    SECONDS,
                    _ages(AGE),
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
