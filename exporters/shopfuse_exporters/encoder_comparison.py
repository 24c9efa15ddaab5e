"""The shop's own text encoder and others, in each precision, on the shop's own catalogue: what they cost and bring.

Catalogue and queries are encoded by each anew; all are compared to the shop's own in fp32.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.ranking.tensors import LENGTH_BUCKETS, submodels
from shopfuse.ranking.text import normalise_query
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse_exporters.encoding.encoder import export_text_encoder
from shopfuse_exporters.models.shop import load_catalogue_of
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.precision.calibration import title_queries
from shopfuse_exporters.precision.measure import (
    Encoded,
    Speed,
    encode,
    likeness,
    megabytes,
    overlap,
    served_queries,
    speeds,
)
from shopfuse_exporters.precision.precisions import FULL
from shopfuse_exporters.verify.verified_model import VerifiedModel

LENGTH = LENGTH_BUCKETS[0]  # tokens of the query that is timed
ROUNDS, WARM_UP = 200, 20
TITLES = 100  # of which queries are made where none are given
Ndcg = Callable[[list[list[str]]], float]  # of the rankings of a sample's queries, as item ids


@dataclass(frozen=True, slots=True)
class Sample:
    """What is encoded and ranked."""

    item_ids: list[str]
    texts: list[str]
    queries: list[str]

    def named(self, rankings: NDArray[np.int64]) -> list[list[str]]:
        """Rankings of rows as rankings of item ids."""
        return [[self.item_ids[row] for row in ranking] for ranking in rankings.tolist()]


@dataclass(frozen=True, slots=True)
class Encoder:
    """A text encoder in one precision: the file that a build would serve."""

    verified: VerifiedModel
    encoding: TextEncoding


def catalogue_sample(
    workspace: Workspace, items: int, judged: Collection[str] = (), queries: Sequence[str] = ()
) -> Sample:
    """`items` of the catalogue spread evenly, the `judged` ones among them, and the queries, by default made of titles.

    Available items only, as the gateway answers.
    """
    catalogue = load_catalogue_of(workspace)
    available = np.flatnonzero(catalogue.available)
    must = np.array([catalogue.ids[row] in judged for row in available], np.bool_)
    others = available[~must]
    room = min(len(others), max(0, items - int(must.sum())))
    spread = others[np.unique(np.linspace(0, len(others) - 1, room).astype(np.int64))]
    rows = np.sort(np.concatenate([available[must], spread]))
    texts, titles = catalogue.texts(), catalogue.frame["title"].to_list()
    step = max(1, len(titles) // TITLES)
    queries = queries or title_queries(titles[::step][:TITLES])
    return Sample(
        [catalogue.ids[row] for row in rows],
        [texts[row] for row in rows],
        [normalise_query(query) for query in queries],
    )


def compare_encoders(
    workspace: Workspace,
    sample: Sample,
    precisions: Sequence[str],
    others: Sequence[Path],
    ndcg: Ndcg | None,
    progress: Progress,
) -> list[dict[str, object]]:
    """A row for each precision of the shop's own encoder, fp32 first, and of those in the folders `others`.

    Raises ShopfuseError where an encoder is not like the shop's own. NDCG is null without `ndcg`.
    """
    encoders = _encoders(workspace, others, precisions, progress)
    encoded = {name: _encode(name, encoder, sample, progress) for name, encoder in encoders.items()}
    return _rows(sample, encoders, encoded, _speeds(encoders, sample.queries, progress), ndcg)


def _encoders(shop: Workspace, others: Sequence[Path], names: Sequence[str], progress: Progress) -> dict[str, Encoder]:
    """By precision the shop's own, fp32 first, then by folder and precision the others."""
    loaded = {"": load_text_encoder(encoder_name(shop))}
    loaded |= {f"{folder} ": _made_from(loaded[""], folder) for folder in others}
    encoders: dict[str, Encoder] = {}
    for whose, encoder in loaded.items():
        for name in names:
            progress("export and verify", len(encoders), len(loaded) * len(names))
            encoders[whose + name] = _exported(shop, encoder, name)
    progress("export and verify", len(encoders), len(encoders))
    return encoders


def _made_from(own: LoadedTextEncoder, folder: Path) -> LoadedTextEncoder:
    """The encoder in `folder`; raises ShopfuseError where its vectors or tokens are not like those of `own`."""
    other = load_text_encoder(str(folder))
    if other.text_dim != own.text_dim:
        raise ShopfuseError(f"--encoder {folder}: vectors of {other.text_dim} numbers, the shop's have {own.text_dim}")
    if other.tokenizer_json.read_bytes() != own.tokenizer_json.read_bytes():
        raise ShopfuseError(f"--encoder {folder}: its tokenizer.json is not that of the shop's encoder")
    return other


def _exported(shop: Workspace, loaded: LoadedTextEncoder, precision: str) -> Encoder:
    verified = export_text_encoder(shop, loaded, precision)
    tokenizer = open_tokenizer(Path(loaded.tokenizer_json), loaded.max_tokens)
    return Encoder(verified, TextEncoding(verified.open(), tokenizer))


def _encode(name: str, encoder: Encoder, sample: Sample, progress: Progress) -> Encoded:
    model = encoder.verified.open()
    return encode(encoder.encoding, model, sample.texts, sample.queries, progress, f"encode in {name}")


def _speeds(encoders: dict[str, Encoder], queries: Sequence[str], progress: Progress) -> dict[str, Speed]:
    models = {name: encoder.verified.open() for name, encoder in encoders.items()}
    tokens = encoders[FULL].encoding.tokens(queries)
    return speeds(models, served_queries(models[FULL], tokens), progress)


def _rows(
    sample: Sample,
    encoders: dict[str, Encoder],
    encoded: dict[str, Encoded],
    measured: dict[str, Speed],
    ndcg: Ndcg | None,
) -> list[dict[str, object]]:
    rankings = {name: part.rankings() for name, part in encoded.items()}
    ndcgs = {name: ndcg(sample.named(ranking)) if ndcg else None for name, ranking in rankings.items()}
    rows: list[dict[str, object]] = []
    for name, part in encoded.items():
        cosines, own, best = likeness(encoded[FULL], part), ndcgs[name], ndcgs[FULL]
        rows.append(
            {
                "name": name,
                "ms": measured[name].ms,
                "speed_up": measured[name].speed_up,
                "mb": megabytes(encoders[name].verified.path),
                "cosine_mean": float(cosines.mean()),
                "cosine_min": float(cosines.min()),
                "overlap@10": overlap(rankings[FULL], rankings[name]),
                "ndcg@10": own,
                "ndcg@10_loss": None if best is None or own is None else best - own,
            }
        )
    return rows


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """In fp32, as torch exports it."""

    megabytes: float
    milliseconds: float  # of a query of LENGTH tokens


def encoder_sizes(encoders: Sequence[LoadedTextEncoder], progress: Progress) -> list[EncoderSize]:
    """Of each encoder; timed with one thread and in turns, so that what else the machine does slows all alike."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.onnx" for number in range(len(encoders))]
        models = [_exported_plain(*pair) for pair in zip(encoders, paths, strict=True)]
        times = _times_in_turns(models, progress)
        return [EncoderSize(path.stat().st_size / 1e6, median(own)) for path, own in zip(paths, times, strict=True)]


def _exported_plain(encoder: LoadedTextEncoder, path: Path) -> OnnxModel:
    declaration = submodels(encoder.text_dim)["text_encoder"]
    return OnnxModel(declaration, export_submodel(declaration, encoder.module, path))


def _times_in_turns(models: list[OnnxModel], progress: Progress) -> list[list[float]]:
    """Milliseconds of each call of each model."""
    inputs = random_inputs(models[0].declaration, 1, {"length": LENGTH}, np.random.default_rng(0))
    times: list[list[float]] = [[] for _ in models]
    for turn in range(WARM_UP + ROUNDS):
        for model, own in zip(models, times, strict=True):
            start = time.perf_counter()
            model.run(inputs)
            if turn >= WARM_UP:
                own.append(1e3 * (time.perf_counter() - start))
        progress("time both", turn + 1, WARM_UP + ROUNDS)
    return times
