"""A workspace of made-up items, and a BERT of two small layers with its own tokenizer to compress on it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, PretrainedConfig

from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace

VOCABULARY = 1100
WORDS = [f"word{number}" for number in range(VOCABULARY - 4)]
TINY = BertConfig(
    vocab_size=VOCABULARY,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=128,
    initializer_range=0.3,  # large, so that every layer changes the answer
)


def write_encoder(folder: Path, config: PretrainedConfig = TINY) -> Path:
    """A random checkpoint with a tokenizer of WORDS."""
    torch.manual_seed(7)
    module: Any = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    module.save_pretrained(folder)
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def write_shop(root: Path, encoder: Path, items: int = 260, queries: int = 0) -> Workspace:
    """Items with titles of a few words; `queries` searches in the event log."""
    rng = random.Random(1)
    workspace = Workspace.create(root, ShopSettings(text_encoder=str(encoder)))
    rows = [_item(number, rng) for number in range(items)]
    write_parquet(workspace.paths.items, pl.DataFrame(rows, schema=ITEM_SCHEMA))
    if queries:
        searches = [{"event_name": "search", "query": f"wanted{number}"} for number in range(queries)]
        write_parquet(workspace.paths.events / "date=2024-05-01.parquet", pl.DataFrame(searches, schema=EVENT_SCHEMA))
    return workspace


def _item(number: int, rng: random.Random) -> dict[str, object]:
    title, description = (" ".join(rng.choices(WORDS, k=count)) for count in (5, 12))
    told = {"title": title, "description": description, "brand": f"word{number % 7}", "category": [f"word{number % 9}"]}
    return {"item_id": f"i{number:04d}", **told, "attributes": [], "other_categories": [], "available": True}
