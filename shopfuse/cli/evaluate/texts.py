"""`shopfuse evaluate texts`: how well the text heads tell labels, beside the majority, neighbours and plain words."""

from __future__ import annotations

import time
from typing import Any

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, SeedsOption, WorkspaceOption, parse_seeds
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.evaluation.offline.text_head_rows import head_rows, released_answer, trained_answer
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.local.stack import stable_release
from shopfuse.metrics.classification import LabelQuality
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
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
        release = ReleaseModels(ReleaseLayout(shop.paths.release(manifest.release_id)), manifest)
        for seed in chosen or [int(manifest.made_by["seed"])]:
            for name, known in examples_of(shop, release, seed, progress).items():
                if chosen or name in manifest.labels:
                    answer = trained_answer(name, seed, progress) if chosen else released_answer(release, name)
                    quality = head_rows(known.examples, known.vectors, answer, seed)
                    tables.setdefault(name, {})[str(seed)] = quality
    report(manifest, tables, time.monotonic() - started, json)


def examples_of(workspace: Workspace, release: ReleaseModels, seed: int, progress: Progress) -> dict[str, HeadExamples]:
    """By head the labelled texts of the workspace, encoded by the release's text encoder and kept for the next time."""
    manifest = release.manifest
    hashes = manifest.models["text_encoder"].sha256, manifest.files["tokenizer.json"]
    cache = VectorCache(encoder_folder(workspace.root, *hashes, manifest.max_tokens), manifest.text_dim)
    with workspace_lock(workspace.root):
        return head_examples(workspace, release.text_encoding(), cache, seed, progress)


def report(
    manifest: Manifest, tables: dict[str, dict[str, dict[str, LabelQuality]]], seconds: float, as_json: bool
) -> None:
    if as_json:
        rows: dict[str, Any] = {
            name: {seed: {row: quality.as_dict() for row, quality in heads.items()} for seed, heads in seeds.items()}
            for name, seeds in tables.items()
        }
        print_json({"heads": rows, "release_id": manifest.release_id, "seconds": seconds})
        return
    for name, by_seed in tables.items():
        for seed, heads in by_seed.items():
            count = heads["head"].texts
            title = f"{name}, {manifest.labels.get(name, '?')} labels, {count} held-out texts, seed {seed}"
            print_table(title, COLUMNS, [cells(row, quality) for row, quality in heads.items()])
    out.print(f"release {manifest.release_id}, {seconds:.0f} s")


def cells(name: str, quality: LabelQuality) -> list[object]:
    measures = (quality.accuracy, quality.macro_f1, quality.ece)
    pairs = [cell for one in measures for cell in (round(one.value, 4), f"{one.low:.3f}..{one.high:.3f}")]
    levels = " ".join(f"{share:.3f}" for share in quality.level_accuracy)
    rest = (quality.answered, quality.answers_right, quality.hierarchical_f1)
    return [name, *pairs, levels, *(round(value, 4) for value in rest)]
