"""JSON files of words in a lexical index's folder. Who builds the index syncs the folder when all are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from shopfuse.release.manifest import ReleaseError

T = TypeVar("T")


def write_words(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def read_words(path: Path, what: str, parse: Callable[[Any], T]) -> T:
    """What `parse` makes of the file; raises ReleaseError naming it where it is missing, damaged, or not `what`."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path}: not {what} ({error})") from error
