"""A build's text encoder, and the catalogue's texts through it: those that its cache does not hold are computed.

The encoder is the one that the shop's settings name. Where that does not cover the language of the catalogue, and where
they name "catalogue", one is trained on the shop's own texts; it is believed where it finds better than words alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from shopfuse_exporters.encoding.coverage import Coverage, measure_coverage
from shopfuse_exporters.encoding.encoder import WorkspaceEncoder, export_text_encoder, open_encoder, real_texts
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.encoding.trial import SEMANTIC, USUAL, EncoderTrial
from shopfuse_exporters.models.exporter import ExportedModel, ModelExporter
from shopfuse_exporters.models.own_encoder import known_encoder, learn_encoder, record_trial, try_own_encoder

SUGGESTED = "intfloat/multilingual-e5-small"
TOO_FEW = "the catalogue is too small to tell whether one trained on it were better than words alone"


@dataclass(frozen=True, slots=True)
class Learning:
    """How an encoder of the shop's own texts is had."""

    train: bool  # False: from the last training
    seed: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class TakenEncoder:
    """The encoder of a release, and why it is, or is not, believed to know what texts mean."""

    loaded: LoadedTextEncoder
    exported: ExportedModel
    encoder: WorkspaceEncoder
    coverage: Coverage | None = None  # of the named encoder
    trial: EncoderTrial | None = None  # of one trained on the shop's own texts
    without_meaning: str = ""

    @property
    def told(self) -> str:
        """What a build says of an encoder that it trained and took."""
        if self.without_meaning or self.trial is None:
            return ""
        return f"text encoder trained on the catalogue: {self.trial.line}"

    @property
    def search_weights(self) -> dict[str, float]:
        """The channels' weights that it was taken with, where they are not the usual ones."""
        if self.without_meaning or self.trial is None or self.trial.weight == USUAL:
            return {}
        return {SEMANTIC: self.trial.weight}

    def record(self) -> dict[str, Any]:
        """For the manifest."""
        coverage = {"coverage": self.coverage.record()} if self.coverage else {}
        return {**coverage, "own_encoder": self.trial.record()} if self.trial else coverage


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    catalogue: Catalogue
    taken: TakenEncoder
    vectors: NDArray[np.float16]  # [N, text_dim], row-aligned with the catalogue
    computed: int  # of them, those that were not known before
    per_s: float

    @property
    def loaded(self) -> LoadedTextEncoder:
        return self.taken.loaded

    @property
    def exported(self) -> ExportedModel:
        return self.taken.exported

    @property
    def encoder(self) -> WorkspaceEncoder:
        return self.taken.encoder

    @property
    def has_meaning(self) -> bool:
        return not self.taken.without_meaning

    @property
    def meanings(self) -> NDArray[np.float16]:
        """The vectors as the shop is searched by them, [N, text_dim]: zeros, which are absent texts, where the encoder
        is not believed."""
        return self.vectors if self.has_meaning else np.zeros_like(self.vectors)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of queries, [n, text_dim]; zeros likewise."""
        if self.has_meaning:
            return self.encoder.encoding.encode(texts)
        return np.zeros((len(texts), self.loaded.text_dim), np.float32)


def take_text_encoder(
    exporter: ModelExporter,
    workspace: Workspace,
    catalogue: Catalogue,
    named: LoadedTextEncoder | None,
    learning: Learning,
) -> TakenEncoder:
    """`named` is None where the shop's settings name "catalogue".

    Raises ExportError or ParityError where an encoder is not what its torch module is, ShopfuseError where one is to be
    read that was never trained.
    """
    taken, why = None, list[str]()
    if named is not None:
        taken = _exported(exporter, workspace, named)
        with exporter.times.step("encoder coverage"):
            coverage = measure_coverage(catalogue, taken.encoder.tokenizer, taken.encoder.encoding.encode)
        taken = TakenEncoder(named, taken.exported, taken.encoder, coverage)
        if coverage.covers:
            return taken
        why.append(coverage.line(named.source, catalogue.language))
    own, trial = _own(exporter, workspace, catalogue, learning, must_be=named is None)
    if own is not None and trial is not None and trial.won:
        return TakenEncoder(own.loaded, own.exported, own.encoder, taken.coverage if taken else None, trial)
    why.append(f"one trained on the catalogue is no better than words alone: {trial.line}" if trial else TOO_FEW)
    left = taken or own
    assert left is not None  # one of the two was named
    meaningless = _without_meaning(why)
    return TakenEncoder(left.loaded, left.exported, left.encoder, left.coverage, trial, meaningless)


def _without_meaning(why: Sequence[str]) -> str:
    return (
        f"{'; '.join(why)}; searched by words, without meaning. "
        f'For meaning, set text_encoder = "{SUGGESTED}", or another hub id or folder, in shop.toml and build again'
    )


def _own(
    exporter: ModelExporter, workspace: Workspace, catalogue: Catalogue, learning: Learning, *, must_be: bool
) -> tuple[TakenEncoder | None, EncoderTrial | None]:
    """The encoder of the shop's own texts and how it did. None of it where the shop is too small to tell, unless it
    `must_be` there."""
    if not learning.train:
        loaded, trial = known_encoder(workspace, must_be)
        return (_exported(exporter, workspace, loaded) if loaded else None), trial
    with exporter.times.step("train text encoder"):
        learned = learn_encoder(workspace, catalogue, learning.seed, must_be, learning.progress)
    if learned is None:
        return None, None
    own = _exported(exporter, workspace, learned.loaded)
    if not learned.held_out.are_enough:
        return own, None
    with exporter.times.step("try text encoder"):
        encode = own.encoder.encoding.encode
        trial = try_own_encoder(exporter.folder / "trial", catalogue, learned, encode, learning.progress)
        record_trial(workspace, learned, trial)
    return own, trial


def _exported(exporter: ModelExporter, workspace: Workspace, loaded: LoadedTextEncoder) -> TakenEncoder:
    export = partial(export_text_encoder, workspace, loaded, for_gpu=exporter.for_gpu)
    exported = exporter.export_by(export, "text_encoder", loaded.module, real_texts(workspace, loaded))
    return TakenEncoder(loaded, exported, open_encoder(workspace, loaded, exported.verified))


def encode_catalogue_texts(
    exporter: ModelExporter, catalogue: Catalogue, taken: TakenEncoder, progress: Progress
) -> EncodedTexts:
    with exporter.times.step("encode texts"):
        started = time.perf_counter()
        vectors, computed = encode_texts(catalogue.texts(), taken.encoder.encoding, taken.encoder.cache, progress)
        seconds = time.perf_counter() - started
    per_s = round(computed / seconds, 1) if computed else 0.0
    return EncodedTexts(catalogue, taken, vectors, computed, per_s)
