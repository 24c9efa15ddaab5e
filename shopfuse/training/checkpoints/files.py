"""Checkpoints: a module's weights as safetensors, and beside them how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shopfuse.core.atomic_files import atomic_file, write_text
from shopfuse.core.errors import ShopfuseError

WEIGHTS, META = "model.safetensors", "meta.json"


def save_checkpoint(folder: Path, module: nn.Module, meta: Mapping[str, Any]) -> None:
    """Replaces what `folder` holds. The meta data goes last: weights without it were cut short."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / META).unlink(missing_ok=True)
    with atomic_file(folder / WEIGHTS) as path:
        save_file({name: value.detach().contiguous() for name, value in module.state_dict().items()}, path)
    write_text(folder / META, json.dumps(meta, indent=2, sort_keys=True) + "\n")


def load_checkpoint(folder: Path, module: nn.Module) -> dict[str, Any]:
    """Reads the weights into `module`, which must fit, and gives the meta data."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        weights: dict[str, torch.Tensor] = load_file(folder / WEIGHTS)
        module.load_state_dict(weights)
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise ShopfuseError(f"{folder}: not a checkpoint of {type(module).__name__} ({error})") from error
    if not isinstance(meta, dict):
        raise ShopfuseError(f"{folder / META}: expected an object")
    return meta
