"""Text heads on disk: a checkpoint each, with its labels and the text encoder that it was trained on.

Beside the other models of a shop but apart from their training: a head depends on the text encoder and its own
examples alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.labels import Labels, labels_json, parse_labels
from shopfuse.ranking.text_heads import HEADS
from shopfuse.training.checkpoints.files import META, WEIGHTS, load_checkpoint, save_checkpoint
from shopfuse.training.models.text_head import TextHead, empty_head


@dataclass(frozen=True, slots=True)
class TrainedHead:
    module: TextHead
    labels: Labels
    metrics: dict[str, Any]


def save_heads(folder: Path, heads: Mapping[str, TrainedHead], encoder_sha256: str) -> None:
    """Writes the heads below `folder`; one that is no longer there is forgotten."""
    for name in HEADS:
        if name not in heads:
            (folder / name / META).unlink(missing_ok=True)
            continue
        head = heads[name]
        meta = {
            "labels": labels_json({name: head.labels}),
            "text_encoder": encoder_sha256,
            "metrics": head.metrics,
            "class": type(head.module).__name__,
        }
        save_checkpoint(folder / name, head.module, meta)


def load_heads(folder: Path, encoder_sha256: str) -> dict[str, TrainedHead]:
    """The heads of the last training. Raises ShopfuseError naming the file that is damaged or of another encoder."""
    return {name: _load(folder / name, name, encoder_sha256) for name in HEADS if (folder / name / META).is_file()}


def _load(folder: Path, name: str, encoder_sha256: str) -> TrainedHead:
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        labels = parse_labels(meta["labels"], str(folder / META))[name]
        trained_on, metrics = str(meta["text_encoder"]), dict(meta["metrics"])
        module = empty_head(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ShopfuseError(f"{folder}: not a checkpoint of {name} ({error!r}); train it again") from error
    if trained_on != encoder_sha256:
        raise ShopfuseError(
            f"{folder}: trained on text encoder {trained_on[:12]}, the shop's is {encoder_sha256[:12]}; train it again"
        )
    load_checkpoint(folder, module)
    return TrainedHead(module.eval(), labels, metrics)
