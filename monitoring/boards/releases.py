"""Which release answers whom, and whether the canary is worse."""

from __future__ import annotations

from monitoring.alerts import CANARY_LEAD, OLDEST_RELEASE_DAYS
from monitoring.panels import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, Query, Row, rate

ANSWERS = "shopfuse_release_answers_total"

BOARD = Board(
    "shopfuse-releases",
    "shopfuse: releases and canary",
    "What answers, and how well; publishing, canaries and rolling back stand in docs/releases.md.",
    (
        Row(
            "What answers",
            (
                Panel(
                    "Gateways whose stable release it is",
                    COUNT,
                    (Query("count by (release_id) (shopfuse_release_info)", "{{release_id}}"),),
                ),
                Panel("Answers of each release", PER_SECOND, (Query(rate(ANSWERS, "release_id"), "{{release_id}}"),)),
                Panel(
                    "Age of the stable release",
                    SECONDS,
                    (Query("shopfuse_index_age_seconds", "{{instance}}"),),
                    bad_above=OLDEST_RELEASE_DAYS * 86400,
                ),
            ),
        ),
        Row(
            "Canary",
            (
                Panel(
                    "Share of the answers",
                    SHARE,
                    (
                        Query(
                            f"{rate(ANSWERS, 'release_id')} / scalar(sum(rate({ANSWERS}[$__rate_interval])))",
                            "{{release_id}}",
                        ),
                    ),
                    maximum=1,
                ),
                Panel(
                    "Degraded, of each release",
                    SHARE,
                    (Query("release:degraded:ratio_rate5m", "{{release_id}}"),),
                    maximum=1,
                    bad_above=0.01,
                ),
                Panel(
                    "Canary less stable",
                    SHARE,
                    (Query(CANARY_LEAD, "{{release_id}}"),),
                    "Degraded share of the canary, less that of the stable release. Above 0.02 somebody is paged.",
                    minimum=None,
                    bad_above=0.02,
                    empty="no canary",
                ),
            ),
        ),
        Row(
            "Changes",
            (
                Panel(
                    "How long the stable release has answered",
                    SECONDS,
                    (Query("shopfuse_release_age_seconds", "{{instance}}"),),
                    "Falls to 0 with every flip.",
                ),
                Panel(
                    "Published and not served",
                    COUNT,
                    (Query("sum by (reason) (increase(shopfuse_release_refused_total[15m]))", "{{reason}}"),),
                    "The release before goes on.",
                    width=16,
                ),
            ),
        ),
        Row(
            "Workspaces that follow, each by its release-sync",
            (
                Panel(
                    "Out of step",
                    COUNT,
                    (Query("1 - shopfuse_sync_in_step", "{{instance}}"),),
                    "1 while the channels are not those of the store, or Triton cannot serve all that they name.",
                    bad_above=0.5,
                ),
                Panel(
                    "Triton does not answer with its release",
                    COUNT,
                    (Query("1 - shopfuse_sync_ready", "{{instance}}"),),
                    bad_above=0.5,
                ),
                Panel(
                    "Generation of the store's channels", COUNT, (Query("shopfuse_sync_generation", "{{instance}}"),)
                ),
                Panel(
                    "Since the last look", SECONDS, (Query("time() - shopfuse_sync_looked_at_seconds", "{{instance}}"),)
                ),
                Panel(
                    "Looks, and what they came to",
                    PER_SECOND,
                    (
                        Query(rate("shopfuse_sync_looks_total"), "looks"),
                        Query(rate("shopfuse_sync_store_failures_total"), "the store did not answer, or refused"),
                        Query(rate("shopfuse_sync_refusals_total"), "a release cannot be served"),
                        Query(rate("shopfuse_sync_changes_total"), "the channels changed"),
                    ),
                    width=16,
                ),
            ),
        ),
    ),
)
