"""The release manifest: everything that changes together or not at all, with the sha256 of every file.

Frozen values and their JSON form; reading and hashing files is verify.py's task.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import D_IMAGE, IMAGE_SIZE, Submodel, submodels
from shopfuse.ranking.text_heads import text_heads

FORMAT = 2
MODEL_FILE = "model.onnx"  # of a version, in the release and in Triton's repository


class ReleaseError(ShopfuseError):
    """A release that cannot be used; the message names the file or field."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One submodel as Triton serves it: see model_file, and its sha256."""

    model: str  # its name in Triton: the submodel's, numbered where models with another config have that name
    version: int
    precision: str  # fp32 | fp16 | int8 | int8_static
    sha256: str


def model_file(model: ModelVersion) -> str:
    """Its file below the release folder."""
    return f"models/{model.model}/{model.version}/{MODEL_FILE}"


@dataclass(frozen=True, slots=True)
class Manifest:
    release_id: str
    created_at: str  # ISO 8601, UTC
    models: dict[str, ModelVersion]
    ensembles: dict[str, str]  # role (ROLES in the exporters' triton/ensembles.py) -> Triton model name
    files: dict[str, str]  # path under the release folder -> sha256: everything but manifest and signature
    target: str  # what the models run on: cpu | gpu-ort | tensorrt
    built_with: dict[str, dict[str, str]]  # file -> what it was computed with (submodel or file) and its sha256
    items: int
    text_dim: int
    text_encoder: str
    max_tokens: int
    feature_schema: str  # ranking/features.py's schema_hash
    scenes: tuple[str, ...]
    fusion: str  # one of METHODS in training/fusion/ranker.py
    tasks: dict[str, float]  # task -> its weight in an item's score; only these tasks are reported
    ranks_similar: bool = True  # else the channels order similar items: the ranker was no better at it
    image_encoder: str = ""  # where its weights came from; "" in a shop without images
    image_dim: int = D_IMAGE
    image_size: int = IMAGE_SIZE  # pixels a side
    language: str = "en"  # of titles and queries: how the lexical index cuts words
    labels: dict[str, int] = field(default_factory=dict)  # text head -> how many labels it tells apart
    search_weights: dict[str, float] = field(default_factory=dict)  # channel -> weight, where judgments chose them
    meaning_floor: float = -1.0  # cosine below which meaning alone is no answer, see recall/meaning_floor.py
    without_meaning: str = ""  # why no query is encoded: the encoder does not cover the language; "" where it does
    repeat_purchases: str = "auto"  # one of CHOICES in ranking/repeat_purchases.py
    repeat_purchases_by_category: dict[str, str] = field(default_factory=dict)  # "Path > Of > Category" -> a choice
    metrics: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)  # model that failed its parity gate -> why it was accepted
    made_by: dict[str, Any] = field(default_factory=dict)  # seeds, data hashes, versions, git commit
    format: int = FORMAT

    def declared(self) -> dict[str, Submodel]:
        """The tensors of this release's submodels. Raises ReleaseError for a model that this program does not know."""
        declared = submodels(self.text_dim, self.image_dim, self.image_size) | text_heads(self.text_dim, self.labels)
        if unknown := sorted(self.models.keys() - declared.keys()):
            raise ReleaseError(f"release {self.release_id}: unknown models {unknown}: train and build it again")
        return declared

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def parse_manifest(text: str, source: str) -> Manifest:
    """Raises ReleaseError naming `source` where the JSON is not a manifest of this format."""
    try:
        raw = json.loads(text)
        if raw.get("format") != FORMAT:
            raise ReleaseError(f"{source}: manifest format {raw.get('format')}, expected {FORMAT}")
        models = {name: ModelVersion(**model) for name, model in raw.pop("models").items()}
        return Manifest(models=models, scenes=tuple(raw.pop("scenes")), **raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"{source}: not a release manifest ({error})") from error
