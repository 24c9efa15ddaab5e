"""Triton from inside: what its models do, how long requests wait for them."""

from __future__ import annotations

from monitoring.panels import BYTES, COUNT, MICROSECONDS, PER_SECOND, SHARE, Board, Panel, Query, Row, rate


def _per_request(what: str, count: str = "nv_inference_request_success") -> tuple[Query, ...]:
    """Triton counts microseconds without end; divided by what was done meanwhile."""
    return (Query(f"{rate(f'nv_inference_{what}_duration_us', 'model')} / {rate(count, 'model')} >= 0", "{{model}}"),)


EXECUTIONS = "nv_inference_exec_count"

BOARD = Board(
    "shopfuse-triton",
    "shopfuse: Triton",
    "Models in Triton. An ensemble counts beside the models that it runs.",
    (
        Row(
            "Requests",
            (
                Panel("Answered", PER_SECOND, (Query(rate("nv_inference_request_success", "model"), "{{model}}"),)),
                Panel(
                    "Failed",
                    PER_SECOND,
                    (Query(f"{rate('nv_inference_request_failure', 'model', 'reason')} > 0", "{{model}} {{reason}}"),),
                    "CANCELED: the gateway had no time left. REJECTED: the queue was full.",
                    empty="no request fails",
                ),
                Panel(
                    "Waiting now",
                    COUNT,
                    (Query("sum by (model) (nv_inference_pending_request_count)", "{{model}}"),),
                    bad_above=16,
                ),
            ),
        ),
        Row(
            "Time of one request",
            (
                Panel("All of it", MICROSECONDS, _per_request("request")),
                Panel("In the queue", MICROSECONDS, _per_request("queue")),
                Panel(
                    "Requests in one batch",
                    COUNT,
                    (
                        Query(
                            f"{rate('nv_inference_request_success', 'model')} / {rate(EXECUTIONS, 'model')} >= 0",
                            "{{model}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Time of one execution",
            (
                Panel("Input", MICROSECONDS, _per_request("compute_input", EXECUTIONS)),
                Panel("Inference", MICROSECONDS, _per_request("compute_infer", EXECUTIONS)),
                Panel("Output", MICROSECONDS, _per_request("compute_output", EXECUTIONS)),
            ),
        ),
        Row(
            "Machine",
            (
                Panel("Processor", SHARE, (Query("nv_cpu_utilization", "{{instance}}"),), maximum=1, bad_above=0.9),
                Panel("Memory of the machine in use", BYTES, (Query("nv_cpu_memory_used_bytes", "{{instance}}"),)),
                Panel(
                    "Models without their engine",
                    COUNT,
                    (
                        Query(
                            "sum by (model, version, reason) (shopfuse_engine_fallbacks_total)",
                            "{{model}} {{version}} {{reason}}",
                        ),
                    ),
                    "Instances that serve the ONNX file, because the TensorRT engine does not fit.",
                ),
            ),
        ),
    ),
)
