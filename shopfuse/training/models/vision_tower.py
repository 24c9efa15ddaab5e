"""Pretrained image encoders: the vision tower of a Hugging Face ViT, CLIP or SigLIP checkpoint.

Pixels come in as they are; scaling and normalisation are part of the graph, so that no caller can get them wrong.
Nothing here trains. An image is scaled to fit and padded with white (ranking.images), not cropped as most
checkpoints were trained: a product that fills its image must not lose its edges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.training.models.hub_checkpoint import WEIGHTS, CheckpointError, checkpoint_folder, first_line

WANTED = (*WEIGHTS, "preprocessor_config.json")
WHAT = "image encoder"
MAX_SIZE = 512  # pixels a side
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class _Family:
    """A kind of checkpoint: the class of transformers that reads its vision tower, where that leaves the image's
    vector, and the normalisation of checkpoints that do not state theirs."""

    reader: str
    output: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_CLIP = _Family("CLIPVisionModelWithProjection", "image_embeds", _CLIP_MEAN, _CLIP_STD)
_SIGLIP = _Family("SiglipVisionModel", "pooler_output", _HALF, _HALF)
_PROJECTED = ("clip", "clip_vision_model")
FAMILIES = {
    "vit": _Family("ViTModel", "first", _HALF, _HALF),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
}


class VisionTower(nn.Module):
    """pixels uint8 [B, H, W, 3] -> image_embedding [B, D_IMAGE], L2-normalised."""

    mean: Tensor
    std: Tensor

    def __init__(self, tower: nn.Module, family: str, mean: Any, std: Any) -> None:
        super().__init__()
        self.tower = tower
        self.family = family
        self.register_buffer("mean", 255.0 * torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", 255.0 * torch.tensor(std).reshape(3, 1, 1))

    @property
    def image_size(self) -> int:
        """Pixels a side."""
        return int(self.tower.config.image_size)  # type: ignore[union-attr, arg-type]

    @property
    def image_dim(self) -> int:
        config = self.tower.config
        return int(config.projection_dim if self.family in _PROJECTED else config.hidden_size)  # type: ignore[union-attr, arg-type]

    @property
    def config(self) -> dict[str, Any]:
        """What `empty_tower` needs to make the same module, but for its weights."""
        described: dict[str, Any] = self.tower.config.to_dict()  # type: ignore[operator, union-attr]
        return {"family": self.family, "tower": described}

    def forward(self, pixels: Tensor) -> Tensor:
        image = (pixels.float().permute(0, 3, 1, 2) - self.mean) / self.std  # [B, 3, H, W]
        outputs = self.tower(pixel_values=image)
        output = FAMILIES[self.family].output
        vector: Tensor = outputs.last_hidden_state[:, 0] if output == "first" else getattr(outputs, output)
        return normalize(vector, dim=-1)


@dataclass(frozen=True, slots=True)
class LoadedVisionTower:
    """`source` says where the weights came from."""

    module: VisionTower
    source: str


def load_vision_tower(name: str) -> LoadedVisionTower:
    """The vision tower of a checkpoint: a folder, or a hub id.

    Raises CheckpointError where it is missing, unreachable, no safetensors, of a family that is not read, or not whole.
    """
    folder = checkpoint_folder(name, WHAT, WANTED)
    family = _family_of(name, folder)
    tower = _read_tower(name, folder, family)
    _check_size(name, tower)
    module = VisionTower(tower, family, *_normalisation(name, folder, FAMILIES[family])).eval()
    return LoadedVisionTower(module, f"{name} ({folder})")


def empty_tower(config: dict[str, Any]) -> VisionTower:
    """The module that `VisionTower.config` describes, for weights that are read from elsewhere."""
    import transformers

    described, family = dict(config["tower"]), str(config["family"])
    reader = getattr(transformers, FAMILIES[family].reader)
    tower = reader(reader.config_class(**described | {"attn_implementation": "eager"}))
    return VisionTower(tower, family, _HALF, _HALF)  # the real numbers are among the weights


def _json_of(name: str, path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{WHAT} {name!r}: cannot read {path}: {first_line(error)}") from error
    if not isinstance(read, dict):
        raise CheckpointError(f"{WHAT} {name!r}: {path}: expected an object")
    return read


def _family_of(name: str, folder: Path) -> str:
    kind = _json_of(name, folder / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{WHAT} {name!r}: a checkpoint of type {kind!r}, expected one of {', '.join(sorted(FAMILIES))}"
        )
    return str(kind)


def _read_tower(name: str, folder: Path, family: str) -> nn.Module:
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    reader = getattr(transformers, FAMILIES[family].reader)
    options: dict[str, Any] = {"add_pooling_layer": False} if family == "vit" else {}
    try:
        if family == "clip":  # the width of the shared space is stated for the whole, not for the tower
            whole: Any = transformers.CLIPConfig.from_pretrained(folder)
            whole.vision_config.projection_dim = whole.projection_dim
            options = {"config": whole.vision_config}
        # Eager attention: the fused kernels have no plain ONNX counterpart.
        tower, report = reader.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{WHAT} {name!r}: cannot read {folder}: {first_line(error)}") from error
    if missing := sorted(report["missing_keys"]):  # it would be filled with random numbers
        raise CheckpointError(f"{WHAT} {name!r}: {folder} lacks {len(missing)} weights, such as {missing[0]!r}")
    read: nn.Module = tower.eval()
    return read


def _check_size(name: str, tower: nn.Module) -> None:
    size = tower.config.image_size  # type: ignore[union-attr]
    if not isinstance(size, int) or not 8 <= size <= MAX_SIZE:
        raise CheckpointError(f"{WHAT} {name!r}: images of {size} pixels a side, expected 8 to {MAX_SIZE}")


def _normalisation(name: str, folder: Path, family: _Family) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of values in 0..1."""
    path = folder / "preprocessor_config.json"
    stated = _json_of(name, path) if path.is_file() else {}
    mean, std = (stated.get(f"image_{key}", getattr(family, key)) for key in ("mean", "std"))
    for key, numbers in (("image_mean", mean), ("image_std", std)):
        if len(numbers) != 3 or not all(isinstance(number, int | float) for number in numbers):
            raise CheckpointError(f"{WHAT} {name!r}: {path}: {key}: expected three numbers, got {numbers!r}")
    if min(std) <= 0:
        raise CheckpointError(f"{WHAT} {name!r}: {path}: image_std: expected positive numbers, got {std!r}")
    return list(mean), list(std)
