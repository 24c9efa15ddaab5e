"""What each file of a release was computed with: submodels, and files that a model reads, told by their sha256.

An index of one encoder searched with the vectors of another gives wrong answers without any error. The one table is
for who writes the manifest and for who checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shopfuse.ranking.text_heads import HEADS
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ModelVersion, model_file

_BELOW = ReleaseLayout(Path())  # paths from the release folder, as the manifest has them
TOKENIZER, LABELS = str(_BELOW.tokenizer), str(_BELOW.labels)
_OF_TEXTS = (_BELOW.semantic, _BELOW.category_prototypes)
_OF_ITEMS = (_BELOW.behaviour, _BELOW.item_vectors, _BELOW.modality_vectors)


def ingredients(models: Mapping[str, ModelVersion]) -> dict[str, tuple[str, ...]]:
    """File -> the submodels and files that it was computed with, in a release of these submodels."""
    images = tuple(name for name in ("image_encoder",) if name in models)
    heads = tuple(name for name in HEADS if name in models)
    table: dict[str, tuple[str, ...]] = {str(path): ("text_encoder",) for path in _OF_TEXTS}
    table |= {str(path): ("text_encoder", *images, "item_tower") for path in _OF_ITEMS}
    table |= {str(_BELOW.visual): images} if images else {}
    table |= {LABELS: heads} if heads else {}
    table |= {model_file(models[name]): ("text_encoder",) for name in heads}
    # It reads the numbers that one tokenizer gives to words.
    return table | ({model_file(models["text_encoder"]): (TOKENIZER,)} if "text_encoder" in models else {})


def built_with(models: Mapping[str, ModelVersion], files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """File -> ingredient -> its sha256, where all are there."""
    return {
        path: {name: models[name].sha256 if name in models else files[name] for name in needed}
        for path, needed in ingredients(models).items()
    }
