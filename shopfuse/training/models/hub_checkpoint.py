"""Where a pretrained checkpoint lies: a folder that is given, or files of a hub, from the local cache where they are.

safetensors only: a pickle checkpoint can run code when it is opened. What is in the files is the encoders' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopfuse.core.errors import ShopfuseError

WEIGHTS = ("config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json")


class CheckpointError(ShopfuseError):
    """A checkpoint that cannot be had or read; the message names it."""


def checkpoint_folder(name: str, what: str, wanted: Sequence[str]) -> Path:
    """The folder of `name`, a folder or a hub id; `what` it is for stands in errors, `wanted` are its files.

    Raises CheckpointError where it is missing or unreachable, or has no safetensors.
    """
    folder = _located(name, what, wanted)
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(f"{what} {name!r}: no *.safetensors in {folder} (pickle checkpoints are refused)")
    return folder


def _located(name: str, what: str, wanted: Sequence[str]) -> Path:
    if Path(name).is_dir():
        return Path(name).absolute()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise CheckpointError(f"{what} {name!r}: no such folder")
    return _download(name, what, wanted)


def _download(hub_id: str, what: str, wanted: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(wanted)))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise CheckpointError(
            f"{what} {hub_id!r}: not a folder, and the hub gave no such checkpoint ({first_line(error)}); "
            f"use 'embedded', or a folder with {', '.join(wanted[:2])} and what belongs to them"
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, short enough for one line of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
