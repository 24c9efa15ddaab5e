"""A text encoder without layers: the direction of a text is that of the sum of its subwords' vectors.

A vector says by its length how much its subword counts. While it is trained, each is made of its own part and of the
n-grams that it shares with others; what is kept is one table. On disk it is a folder as other encoders are one, so that
it is loaded, exported and served as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, normalize

from shopfuse.core.atomic_files import atomic_folder
from shopfuse.training.models.hub_checkpoint import CheckpointError, first_line
from shopfuse.training.models.subwords import SPECIAL, shared_ngrams, vocabulary

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
MODEL_TYPE = "shopfuse-subwords"
SMALLEST_TABLE = 1024  # rows, as other encoders have at least; models are also checked with tokens drawn by chance


class SubwordEncoder(nn.Module):
    """(input_ids, attention_mask) int64 [B, L] -> one output, the subwords' vectors [B, L, D]; what is to be pooled."""

    def __init__(self, table: Tensor) -> None:
        """`table` [V, D]."""
        super().__init__()
        self.table = nn.Embedding(table.shape[0], table.shape[1], _weight=table, _freeze=True)

    @property
    def dims(self) -> int:
        return int(self.table.embedding_dim)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor]:
        return (self.table(input_ids),)


class SubwordTable(nn.Module):
    """The table while it is trained: a piece is its own vector and the mean of its n-grams', times how much it
    counts. At first that is by its rarity."""

    ngrams: Tensor
    starts: Tensor
    speaks: Tensor

    def __init__(self, tokenizer: Tokenizer, frequency: Tensor, dims: int) -> None:
        """`frequency` [V], the share of texts that hold each piece."""
        super().__init__()
        pieces = vocabulary(tokenizer)
        of_piece, count = shared_ngrams(pieces)
        lengths = torch.tensor([len(numbers) for numbers in of_piece])
        self.own = nn.Parameter(torch.randn(len(pieces), dims) * dims**-0.5)
        self.shared = nn.Parameter(torch.randn(max(count, 1), dims) * dims**-0.5)
        self.log_weight = nn.Parameter(torch.log(0.1 + torch.log1p(1e3 / (1.0 + 1e3 * frequency))))
        self.register_buffer("ngrams", torch.tensor([number for numbers in of_piece for number in numbers]).long())
        self.register_buffer("starts", torch.cumsum(lengths, 0) - lengths)
        self.register_buffer("speaks", torch.tensor([[float(piece not in SPECIAL)] for piece in pieces]))

    def forward(self) -> Tensor:
        """[V, D]; zeros for what stands for no text."""
        shared = embedding_bag(self.ngrams, self.shared, self.starts, mode="mean")
        return (self.own + shared) * self.log_weight.exp().unsqueeze(1) * self.speaks

    def encoder(self) -> SubwordEncoder:
        """What was learned, on its own. Rows up to SMALLEST_TABLE are of no piece."""
        with torch.no_grad():
            table = self().cpu()
        generator = torch.Generator().manual_seed(0)
        unused = torch.randn(max(SMALLEST_TABLE - len(table), 0), table.shape[1], generator=generator)
        return SubwordEncoder(torch.cat([table, unused]))


def directions(table: Tensor, tokens: Sequence[Sequence[int]]) -> Tensor:
    """The L2-normalised vectors of texts [n, D], as PooledEncoder gives them, from the table [V, D]."""
    lengths = torch.tensor([len(ids) for ids in tokens])
    flat = torch.tensor([number for ids in tokens for number in ids]).long()
    starts = torch.cumsum(lengths, 0) - lengths
    return normalize(embedding_bag(flat.to(table.device), table, starts.to(table.device), mode="sum"), dim=-1)


def save_subword_encoder(folder: Path, encoder: SubwordEncoder, tokenizer: Tokenizer, meta: Mapping[str, Any]) -> None:
    """Replaces the folder; `meta` says how it was made."""
    with atomic_folder(folder) as staged:
        save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, staged / WEIGHTS)
        tokenizer.save(str(staged / TOKENIZER))
        config = {"model_type": MODEL_TYPE, "hidden_size": encoder.dims}
        (staged / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (staged / "meta.json").write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_subword_encoder(folder: Path) -> bool:
    """Whether the checkpoint in the folder is one of these."""
    try:
        config: Any = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == MODEL_TYPE


def read_subword_encoder(folder: Path) -> SubwordEncoder:
    """Raises CheckpointError naming the folder whose weights cannot be read."""
    try:
        return SubwordEncoder(load_file(folder / WEIGHTS)["table.weight"])
    except (OSError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: not a text encoder of subwords: {first_line(error)}") from error
