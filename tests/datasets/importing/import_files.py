"""What the tests of imports write and read: files of rows, what was set aside, and the whole of a workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"
PRESETS = Path(__file__).parents[3] / "shopfuse" / "datasets" / "importing" / "formats" / "presets"


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, such as the rejects of an import."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def tree(root: Path) -> dict[str, str]:
    """Every file under a folder but the lock, with the hash of what it holds."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
