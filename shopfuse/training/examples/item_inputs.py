"""The item tower's inputs for the whole catalogue, and its outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.ranking.tensors import D_IMAGE, MODALITIES, TOKEN
from shopfuse.training.distributed.devices import device_of

_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class ItemInputs:
    """Row-aligned tensors over the items [N], in the order of the item tower's arguments. Absent values are zeros."""

    text: Tensor  # [N, D_TEXT]
    image: Tensor  # [N, D_IMAGE]
    behaviour: Tensor  # [N, TOKEN]
    attributes: Tensor  # [N, ATTRIBUTES] int64
    presence: Tensor  # [N, 3]

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: Tensor) -> tuple[Tensor, ...]:
        return self.text[rows], self.image[rows], self.behaviour[rows], self.attributes[rows], self.presence[rows]

    def to(self, device: torch.device) -> ItemInputs:
        return ItemInputs(*(getattr(self, name).to(device) for name in self.__slots__))

    def without(self, *modalities: str) -> ItemInputs:
        """The same catalogue as if these modalities had never been there."""
        kept = torch.tensor([float(name not in modalities) for name in MODALITIES])
        return ItemInputs(self.text, self.image, self.behaviour, self.attributes, self.presence * kept)


def item_inputs(
    text_vectors: NDArray[np.float32],
    attributes: NDArray[np.int64],
    image_vectors: NDArray[np.float32] | None = None,
    has_image: NDArray[np.bool_] | None = None,
    behaviour: NDArray[np.float32] | None = None,
    behaviour_present: NDArray[np.bool_] | None = None,
) -> ItemInputs:
    """Inputs from arrays; a modality that is not given is absent from every item."""
    count = len(text_vectors)
    presence = np.zeros((count, len(MODALITIES)), np.float32)
    presence[:, 0] = np.abs(text_vectors).sum(1) > 0
    if image_vectors is not None and has_image is not None:
        presence[:, 1] = has_image
    if behaviour is not None and behaviour_present is not None:
        presence[:, 2] = behaviour_present
    return ItemInputs(
        torch.from_numpy(np.ascontiguousarray(text_vectors, np.float32)),
        torch.zeros(count, D_IMAGE) if image_vectors is None else torch.from_numpy(image_vectors.astype(np.float32)),
        torch.zeros(count, TOKEN) if behaviour is None else torch.from_numpy(behaviour.astype(np.float32)),
        torch.from_numpy(attributes),
        torch.from_numpy(presence),
    )


@torch.no_grad()
def encode_items(tower: nn.Module, inputs: ItemInputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(item vectors [N, 128], modality vectors [N, 3, 64]) through the tower as it is served."""
    device = device_of(tower)
    blocks = [
        tower(*(part.to(device) for part in inputs.take(torch.arange(start, min(start + _BLOCK, len(inputs))))))
        for start in range(0, len(inputs), _BLOCK)
    ]
    vectors, tokens = (torch.cat(column).cpu().numpy() for column in zip(*blocks, strict=True))
    return vectors, tokens
