"""What an engine of TensorRT for RTX was made of and where it runs: a JSON file beside it.

Triton's onnxruntime backend reads it before it touches the engine, and has only the standard library for that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FORMAT: Final = 1
ENGINE, RECORD = "model.rtx.engine", "model.rtx.json"
WRAPPER: Final = "model.rtx.onnx"  # what onnxruntime opens: one node, which names the engine


@dataclass(frozen=True, slots=True)
class EngineRecord:
    submodel: str
    precision: str
    onnx_sha256: str
    engine_sha256: str
    tensorrt: str  # all four numbers, such as 1.7.1.116
    architectures: list[str]  # such as ["sm86", "sm89"]: one engine runs on all of them
    profiles: list[dict[str, list[list[int]]]]  # input -> [min, opt, max], one for each bucket
    opened: bool  # by a GPU of the machine that built it; False where that had none
    bytes: int
    seconds: float
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_engine_record(path: Path) -> EngineRecord | None:
    """None where there is none of this format."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return EngineRecord(**raw) if raw.get("format") == FORMAT else None
    except (OSError, AttributeError, TypeError, ValueError):
        return None
