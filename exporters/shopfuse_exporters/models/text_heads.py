"""The text heads of a release: trained on the shop's labelled texts or read again, and exported."""

from __future__ import annotations

from collections.abc import Mapping

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.text_heads import HEADS, text_heads
from shopfuse.release.verify import sha256_file
from shopfuse.training.checkpoints.head_files import TrainedHead, load_heads, save_heads
from shopfuse.training.trainers.text_head import train_text_head
from shopfuse_exporters.encoding.labelled_texts import head_examples
from shopfuse_exporters.models.exporter import ExportedModel, ModelExporter
from shopfuse_exporters.models.text_encoder import EncodedTexts
from shopfuse_exporters.steps import StepTimes
from shopfuse_exporters.verify.cases import REAL_ROWS

Heads = Mapping[str, TrainedHead]  # by name, those that the shop has examples for


def learn_heads(workspace: Workspace, texts: EncodedTexts, seed: int, times: StepTimes, progress: Progress) -> Heads:
    """Trained now, and saved as checkpoints."""
    with times.step("encode labelled texts"):
        read = head_examples(workspace, texts.encoder.encoding, texts.encoder.cache, seed, progress)
    with times.step("train text heads"):
        heads = {
            name: train_text_head(name, one.examples, one.vectors, seed=seed, progress=progress)
            for name, one in read.items()
        }
        save_heads(workspace.paths.checkpoints, heads, sha256_file(texts.encoder.model.path))
    return heads


def known_heads(workspace: Workspace, texts: EncodedTexts, times: StepTimes) -> Heads:
    """Those of the last training. Raises ShopfuseError for a damaged checkpoint, or one of another text encoder."""
    with times.step("read checkpoints"):
        return load_heads(workspace.paths.checkpoints, sha256_file(texts.encoder.model.path))


def export_heads(exporter: ModelExporter, heads: Heads, texts: EncodedTexts) -> tuple[ExportedModel, ...]:
    """Raises ExportError or ParityError."""
    declared = text_heads(texts.loaded.text_dim, label_counts(heads))
    real = {"text_embedding": texts.vectors[:REAL_ROWS]}
    return tuple(exporter.export(declared[name], head.module, real) for name, head in heads.items())


def label_counts(heads: Heads) -> dict[str, int]:
    """Head -> how many labels it tells apart."""
    return {name: len(heads[name].labels) for name in HEADS if name in heads}
