"""The folder that a compressed encoder is written to: a plain checkpoint, and meta.json on how it was made.

It appears whole or not at all, and never takes the place of anything but an earlier result of the same command.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from shopfuse.core.atomic_files import atomic_folder
from shopfuse.training.checkpoints.files import META
from shopfuse.training.compression.errors import CompressionError

TOKENIZER = "tokenizer.json"


def check_result_folder(folder: Path, command: str) -> None:
    """Raises CompressionError where `folder` is taken by something else than an earlier result of `command`."""
    if not (folder.exists() or folder.is_symlink()):
        return
    if not folder.is_dir() or folder.is_symlink():
        raise CompressionError(f"{folder}: a file or link of this name is in the way")
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        meta = None
    if not isinstance(meta, dict) or meta.get("compression") != command:
        raise CompressionError(
            f"{folder}: exists already and holds no earlier result of '{command}'; name a new folder"
        )


def write_result(folder: Path, encoder: nn.Module, tokenizer: Path, meta: Mapping[str, Any]) -> None:
    """Writes config.json, model.safetensors, tokenizer.json and meta.json, replacing an earlier result."""
    try:
        with atomic_folder(folder) as staging:
            encoder.save_pretrained(staging, max_shard_size="1TB")  # type: ignore[operator]
            shutil.copyfile(tokenizer, staging / TOKENIZER)
            (staging / META).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise CompressionError(f"{folder}: cannot be written ({error})") from error
