"""The models of a release by their names, opened in this process."""

from __future__ import annotations

from dataclasses import dataclass

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, model_file


@dataclass(frozen=True, slots=True)
class ReleaseModels:
    """Opened when they are wanted; files are not verified again."""

    layout: ReleaseLayout
    manifest: Manifest

    def open(self, name: str) -> OnnxModel:
        """Raises ModelFileError where it cannot be opened."""
        return OnnxModel(self.manifest.declared()[name], self.layout.root / model_file(self.manifest.models[name]))

    def text_encoding(self) -> TextEncoding:
        """Its text encoder with its tokenizer."""
        return TextEncoding(self.open("text_encoder"), open_tokenizer(self.layout.tokenizer, self.manifest.max_tokens))
