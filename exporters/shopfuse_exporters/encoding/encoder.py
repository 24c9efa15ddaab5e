"""A workspace's text encoder as its catalogue is encoded with it: exported and verified, or found again, and opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer, padded, tokens_of
from shopfuse.ranking.tensors import Arrays, submodels
from shopfuse.ranking.text import item_text
from shopfuse.release.verify import sha256_file
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse_exporters.encoding.export_cache import export_once
from shopfuse_exporters.encoding.vector_cache import VectorCache, encoder_folder
from shopfuse_exporters.precision.precisions import FULL
from shopfuse_exporters.verify.cases import REAL_ROWS
from shopfuse_exporters.verify.verified_model import VerifiedModel, export_verified

SAMPLE = ["red running shoes", "a lamp for reading", "waterproof jacket", "laptop"]
TEXT_COLUMNS = ("title", "brand", "category", "description")
ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class WorkspaceEncoder:
    """`cache` holds the vectors that this file gave before. The torch module is not kept."""

    model: VerifiedModel
    tokenizer: Tokenizer
    encoding: TextEncoding
    cache: VectorCache


def catalogue_texts(workspace: Workspace) -> Iterator[list[str]]:
    """What the text encoder reads of each item, in the order of items.parquet, in batches."""
    rows = workspace.items().select(TEXT_COLUMNS)
    for frame in rows.collect_batches(chunk_size=ROWS_AT_ONCE, maintain_order=True):
        yield [item_text(title, brand, category or (), about or "") for title, brand, category, about in frame.rows()]


def real_texts(workspace: Workspace, encoder: LoadedTextEncoder) -> Arrays:
    """The encoder's inputs for the first items: what it will really see."""
    tokenizer = open_tokenizer(encoder.tokenizer_json, encoder.max_tokens)
    return padded(tokens_of(tokenizer, next(iter(catalogue_texts(workspace)), [])[:REAL_ROWS]))


def export_text_encoder(
    workspace: Workspace,
    encoder: LoadedTextEncoder,
    precision: str = FULL,
    accept: str | None = None,
    *,
    for_gpu: bool = False,
) -> VerifiedModel:
    """The workspace's text encoder, exported and verified, or found again. Raises ExportError or ParityError.

    One that fails its gate is let through for the reason `accept` (see export_verified).
    """
    declaration = submodels(encoder.text_dim)["text_encoder"]

    def export(folder: Path) -> VerifiedModel:
        real = real_texts(workspace, encoder)
        return export_verified(declaration, encoder.module, folder, real, precision, accept, for_gpu=for_gpu)

    # What was let through once is not let through again.
    kind = " ".join(filter(None, (precision, "for a GPU" if for_gpu else "", accept)))
    return export_once(workspace.paths.exported_encoders, declaration, encoder.module, kind, export)


def open_encoder(workspace: Workspace, encoder: LoadedTextEncoder, model: VerifiedModel) -> WorkspaceEncoder:
    """The exported `model` of the encoder, ready to encode. Raises ModelFileError for a bad tokenizer."""
    tokenizer = open_tokenizer(encoder.tokenizer_json, encoder.max_tokens)
    hashes = sha256_file(model.path), sha256_file(encoder.tokenizer_json)
    cache = VectorCache(encoder_folder(workspace.root, *hashes, encoder.max_tokens), encoder.text_dim)
    return WorkspaceEncoder(model, tokenizer, TextEncoding(model.open(), tokenizer), cache)


def export_encoding(folder: Path, name: str = "embedded") -> TextEncoding:
    """The text encoder called `name`, exported into `folder`, verified and opened: one of no workspace."""
    encoder = load_text_encoder(name)
    tokenizer = open_tokenizer(encoder.tokenizer_json, encoder.max_tokens)
    declared = submodels(encoder.text_dim)["text_encoder"]
    verified = export_verified(declared, encoder.module, folder, padded(tokens_of(tokenizer, SAMPLE)))
    return TextEncoding(verified.open(), tokenizer)
