"""Which analyser cut the items of a lexical index into words: a small file beside it, signed with the release.

A query cut by other rules finds less, without any error: hence such an index is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

from shopfuse.ranking.errors import ShopfuseError
from shopfuse.recall.analysis import Analyser
from shopfuse.release.manifest import ReleaseError

FILE = "analyser.json"


def write_analyser(folder: Path, analyser: Analyser) -> None:
    content = {"language": analyser.language, "identity": analyser.identity}
    (folder / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_analyser(folder: Path) -> Analyser:
    """Raises ReleaseError naming the file where it is missing, damaged, or of rules that this program does not have."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        language, identity = str(content["language"]), str(content["identity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{path}: does not say how the index's words were cut ({error!r})") from error
    try:
        analyser = Analyser(language)
    except ShopfuseError as error:
        raise ReleaseError(f"{path}: {error}") from error
    if analyser.identity != identity:
        raise ReleaseError(
            f"{path}: words cut by {identity!r}, this program's are {analyser.identity!r}: serve the release with the "
            "version of shopfuse that built it, or build a new one"
        )
    return analyser
