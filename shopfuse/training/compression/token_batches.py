"""Texts to padded token tensors, as the encoder takes them, and vectors of many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from shopfuse.core.progress import Progress, silent
from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.models.text_encoder import LoadedTextEncoder

_TEXTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Tokens:
    """int64 [B, L] each, padded to the longest of the batch."""

    ids: Tensor
    mask: Tensor

    def through(self, encoder: nn.Module) -> Tensor:
        """Their vectors [B, D], where the encoder is."""
        device = device_of(encoder)
        vectors: Tensor = encoder(self.ids.to(device), self.mask.to(device))
        return vectors


@dataclass(frozen=True, slots=True)
class Tokeniser:
    """The teacher's tokenizer: what it makes smaller reads the same tokens."""

    tokenizer: Tokenizer

    @classmethod
    def of(cls, teacher: LoadedTextEncoder) -> Tokeniser:
        """Raises CompressionError where the teacher's tokenizer.json cannot be read."""
        try:
            tokenizer = Tokenizer.from_file(str(teacher.tokenizer_json))
        except Exception as error:  # the library raises bare Exception
            raise CompressionError(f"{teacher.tokenizer_json}: not a tokenizer ({error})") from error
        tokenizer.enable_truncation(teacher.max_tokens)
        tokenizer.no_padding()
        return cls(tokenizer)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]
        ids = torch.zeros(len(rows), max(1, *map(len, rows)), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        return Tokens(ids, mask)

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Tokens]]:
        """(places among `texts`, their tokens), short texts first: equal lengths need no padding."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            places = order[start : start + _TEXTS_AT_ONCE]
            yield places, self.tokens([texts[place] for place in places])


@torch.no_grad()
def encode(
    module: nn.Module, tokeniser: Tokeniser, texts: Sequence[str], progress: Progress = silent, stage: str = "encode"
) -> Tensor:
    """The vectors of texts, [n, D] on the CPU; equal texts are encoded once."""
    distinct = list(dict.fromkeys(texts))
    vectors: dict[str, Tensor] = {}
    for places, tokens in tokeniser.batches(distinct):
        encoded = tokens.through(module).cpu()
        vectors |= {distinct[place]: vector for place, vector in zip(places, encoded, strict=True)}
        progress(stage, len(vectors), len(distinct))
    return torch.stack([vectors[text] for text in texts])
