"""The log on stderr: JSON lines for machines, text for terminals, and one line for a request worth looking at.

Lines hold neither user ids nor queries. A place in the code that logs without end is cut short, and says by how much.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime

import grpc

from shopfuse_gateway.telemetry.request_trace import RequestTrace
from shopfuse_gateway.telemetry.tracing import trace_id

log = logging.getLogger(__name__)

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LINES_PER_S = 10  # from one place in the code
# The caller's doing; every other code but OK is the server's.
OF_CALLERS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED,
}


def set_up_logging(form: str) -> None:
    """`form`: json, text, or auto, which is text where stderr is a terminal."""
    handler = logging.StreamHandler()
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(logging.Formatter(TEXT) if is_text else JsonLines())
    handler.addFilter(Bounded())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace_id inside a request, and the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := trace_id():
            line["trace_id"] = trace
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Bounded(logging.Filter):
    """Lets LINES_PER_S lines from each place in the code pass; the next that passes says how many did not."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int], tuple[int, int, int]] = {}  # place -> second, lines, left out

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), int(time.monotonic())
        second, lines, left_out = self._passed.get(place, (now, 0, 0))
        if second == now and lines >= LINES_PER_S:
            self._passed[place] = second, lines, left_out + 1
            return False
        if left_out:
            record.msg = f"{record.msg} ({left_out} like it left out)"
        self._passed[place] = now, lines + 1 if second == now else 1, 0
        return True


def event(name: str, release_id: str) -> dict[str, dict[str, str]]:
    """What a line of a gateway's life has besides its message: `extra=event("closed", "r1")`."""
    return {"fields": {"event": name, "release": release_id}}


def report(method: str, code: grpc.StatusCode, took_s: float, slow_s: float, trace: RequestTrace) -> None:
    """Logs a request that failed, was degraded or took longer than `slow_s`."""
    if code is grpc.StatusCode.OK and not trace.degradations and took_s < slow_s:
        return
    rpc, ms = method.removeprefix("/"), round(took_s * 1000, 1)
    degradations = [f"{stage}:{reason}" for stage, reason in trace.degradations]
    fields = {
        "event": "request",
        "request_id": trace.request_id,
        "release": trace.release_id,
        "rpc": rpc,
        "code": code.name,
        "ms": ms,
        "degradations": degradations,
    }
    level = logging.INFO if code in OF_CALLERS else logging.WARNING
    told = ", ".join([code.name, *degradations])
    log.log(level, "%s took %.1f ms: %s", rpc, ms, told, extra={"fields": fields})
