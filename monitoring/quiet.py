"""Metrics that stand on no panel, and those that a healthy system does not have, each with the reason."""

from __future__ import annotations

# Neither on a panel nor in a rule. A new metric gets a panel in `boards/`, or a line here.
NOT_SHOWN = {
    "nv_inference_count": "rows of all batches; the batch size is of requests, which is what callers see",
    "nv_pinned_memory_pool_total_bytes": "for transfers to GPUs; fixed at start",
    "nv_pinned_memory_pool_used_bytes": "for transfers to GPUs; Triton falls back to other memory and logs it",
    "nv_cpu_memory_total_bytes": "the machine's; its own exporter says more",
}

# Series that begin with the first event. A query of one may be empty, and must only be valid.
EMPTY_WHEN_HEALTHY = {
    "shopfuse_degraded_total": "no stage failed",
    "ALERTS": "no alert fires",
    "shopfuse_shed_total": "no request was refused",
    "shopfuse_impressions_dropped_total": "every impression was logged",
    "shopfuse_feature_missing_total": "the store knew every user and item",
    "shopfuse_engine_fallbacks_total": "no release with engines, or every engine fits",
}
