"""`shopfuse evaluate texts`: how well the text heads tell labels, beside the majority, neighbours and plain words.

On texts that were held out from training. Without --seeds the release's own ONNX models answer for the split of their
own training; with --seeds every seed draws another split and trains the heads anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.cli.seeds import SeedsOption, parse_seeds
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.evaluation.offline.label_baselines import majority, nearest, words
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.local.stack import stable_release
from shopfuse.metrics.labels import LabelQuality, label_quality
from shopfuse.ranking.labels import Labels, Probabilities, parse_labels
from shopfuse.ranking.text_heads import OUTPUTS
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, model_file
from shopfuse.training.examples.label_examples import TEST
from shopfuse.training.trainers.text_head import probabilities_of, train_text_head
from shopfuse_exporters.encoding.labelled_texts import HeadExamples, head_examples
from shopfuse_exporters.encoding.vector_cache import VectorCache, encoder_folder

COLUMNS = (
    "row",
    "accuracy",
    "95 %",
    "macro-F1",
    "95 %",
    "ECE",
    "95 %",
    "by level",
    "answered",
    "right",
    "hierarchical F1",
)
Answer = Callable[[HeadExamples], tuple[Labels, Probabilities]]


class _Opened:
    """The stable release of a workspace, as far as texts need it."""

    def __init__(self, workspace: Workspace, manifest: Manifest) -> None:
        self.workspace, self.manifest = workspace, manifest
        self._layout, self._declared = ReleaseLayout(workspace.paths.release(manifest.release_id)), manifest.declared()
        self.encoding = TextEncoding(
            self.model("text_encoder"), open_tokenizer(self._layout.tokenizer, manifest.max_tokens)
        )

    def model(self, name: str) -> OnnxModel:
        return OnnxModel(self._declared[name], self._layout.root / model_file(self.manifest.models[name]))

    def labels(self) -> dict[str, Labels]:
        return parse_labels(self._layout.labels.read_text(encoding="utf-8"), str(self._layout.labels))

    def examples(self, seed: int, progress: Progress) -> dict[str, HeadExamples]:
        hashes = self.manifest.models["text_encoder"].sha256, self.manifest.files["tokenizer.json"]
        folder = encoder_folder(self.workspace.root, *hashes, self.manifest.max_tokens)
        cache = VectorCache(folder, self.manifest.text_dim)
        with workspace_lock(self.workspace.root):
            return head_examples(self.workspace, self.encoding, cache, seed, progress)


def served_answer(release: _Opened, name: str) -> Answer:
    """By the release's own model."""
    model, labels = release.model(name), release.labels()[name]

    def answer(one: HeadExamples) -> tuple[Labels, Probabilities]:
        if labels.paths != one.examples.labels.paths:
            raise ShopfuseError(f"{name}: the catalogue's labels are no longer those of the release; build it again")
        held = one.vectors[one.examples.rows(TEST)]
        step = model.declaration.max_batch
        parts = [
            model.run({"text_embedding": held[start : start + step]})[OUTPUTS[name]]
            for start in range(0, len(held), step)
        ]
        return labels, np.concatenate(parts).astype(np.float32)

    return answer


def trained_answer(name: str, seed: int, progress: Progress) -> Answer:
    """By a head that is trained for the split of this seed."""

    def answer(one: HeadExamples) -> tuple[Labels, Probabilities]:
        head = train_text_head(name, one.examples, one.vectors, seed=seed, progress=progress)
        return head.labels, probabilities_of(head.module, one.vectors[one.examples.rows(TEST)])

    return answer


def measured(one: HeadExamples, answer: Answer, seed: int) -> dict[str, LabelQuality]:
    """The head and its baselines on the same held-out texts."""
    rows = one.examples.rows(TEST)
    labels, head = answer(one)
    found = {
        "head": head,
        "majority": majority(one.examples, rows),
        "neighbours": nearest(one.examples, one.vectors, rows),
        "words": words(one.examples, rows, seed),
    }
    truth = one.examples.label[rows]
    return {name: label_quality(labels, probabilities, truth, seed) for name, probabilities in found.items()}


def cells(name: str, quality: LabelQuality) -> list[object]:
    measures = (quality.accuracy, quality.macro_f1, quality.ece)
    pairs = [cell for one in measures for cell in (round(one.value, 4), f"{one.low:.3f}..{one.high:.3f}")]
    levels = " ".join(f"{share:.3f}" for share in quality.level_accuracy)
    rest = (quality.answered, quality.answers_right, quality.hierarchical_f1)
    return [name, *pairs, levels, *(round(value, 4) for value in rest)]


def texts(workspace: WorkspaceOption, seeds: SeedsOption = "", json: JsonOption = False) -> None:
    """The text heads on held-out items and reviews, beside the most frequent label, neighbours and TF-IDF.

    With --seeds each seed draws a split and trains heads of its own; without, the released ones are measured.

    shopfuse evaluate texts -w myshop
    """
    started, chosen = time.monotonic(), parse_seeds(seeds) if seeds else []
    shop, manifest = Workspace.open(workspace), stable_release(workspace)
    if not manifest.labels:
        raise ShopfuseError(
            f"release {manifest.release_id} has no text heads: too few items have a category, or reviews"
        )
    tables: dict[str, dict[str, dict[str, LabelQuality]]] = {}
    with progress_bars() as progress:
        release = _Opened(shop, manifest)
        for seed in chosen or [int(manifest.made_by["seed"])]:
            for name, one in release.examples(seed, progress).items():
                if chosen or name in manifest.labels:
                    answer = trained_answer(name, seed, progress) if chosen else served_answer(release, name)
                    tables.setdefault(name, {})[str(seed)] = measured(one, answer, seed)
    report(manifest, tables, time.monotonic() - started, json)


def report(
    manifest: Manifest, tables: dict[str, dict[str, dict[str, LabelQuality]]], seconds: float, as_json: bool
) -> None:
    if as_json:
        rows: dict[str, Any] = {
            name: {seed: {row: quality.as_dict() for row, quality in found.items()} for seed, found in seeds.items()}
            for name, seeds in tables.items()
        }
        print_json({"heads": rows, "release_id": manifest.release_id, "seconds": seconds})
        return
    for name, by_seed in tables.items():
        for seed, found in by_seed.items():
            count = found["head"].texts
            title = f"{name}, {manifest.labels.get(name, '?')} labels, {count} held-out texts, seed {seed}"
            print_table(title, COLUMNS, [cells(row, quality) for row, quality in found.items()])
    out.print(f"release {manifest.release_id}, {seconds:.0f} s")
