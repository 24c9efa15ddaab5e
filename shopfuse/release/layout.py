"""Where the parts of a release lie, below its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COMPLETION = "indexes/completion"
CATEGORY_PROTOTYPES = "prototypes.npy"  # in the folder of the category index


@dataclass(frozen=True, slots=True)
class ReleaseLayout:
    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def signature(self) -> Path:
        """Of the manifest's bytes; through the manifest's hashes it covers every file."""
        return self.root / "manifest.sig"

    @property
    def models(self) -> Path:
        """The release's part of a Triton model repository."""
        return self.root / "models"

    @property
    def golden(self) -> Path:
        """Golden queries: inputs, and the outputs that every model must give."""
        return self.root / "golden.safetensors"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer.json"

    @property
    def labels(self) -> Path:
        """What the outputs of the text heads mean; not there in a release without heads."""
        return self.root / "labels.json"

    @property
    def items(self) -> Path:
        """Folder of row-aligned item arrays (ids, vectors, filter columns)."""
        return self.root / "items"

    @property
    def item_vectors(self) -> Path:
        return self.items / "item_vectors.npy"

    @property
    def modality_vectors(self) -> Path:
        return self.items / "modality_vectors.npy"

    @property
    def modality_mask(self) -> Path:
        return self.items / "modality_mask.npy"

    @property
    def indexes(self) -> Path:
        return self.root / "indexes"

    @property
    def matching(self) -> Path:
        """Folder of the tables that know all matches of a query, see recall/matching/."""
        return self.root / "matching"

    @property
    def lexical(self) -> Path:
        return self.indexes / "lexical"

    @property
    def identifiers(self) -> Path:
        return self.indexes / "identifiers"

    @property
    def quantities(self) -> Path:
        return self.indexes / "quantities"

    @property
    def semantic(self) -> Path:
        return self.indexes / "semantic.faiss"

    @property
    def visual(self) -> Path:
        """Image embeddings; missing where no item has an image."""
        return self.indexes / "visual.faiss"

    @property
    def titles(self) -> Path:
        return self.indexes / "titles"

    @property
    def categories(self) -> Path:
        return self.indexes / "categories"

    @property
    def category_prototypes(self) -> Path:
        return self.categories / CATEGORY_PROTOTYPES

    @property
    def completion(self) -> Path:
        """Folder; missing in a release of before there were completions."""
        return self.root / COMPLETION

    @property
    def behaviour(self) -> Path:
        return self.indexes / "behaviour.faiss"
