"""How large and how fast text encoders are: exported in fp32 and run by onnxruntime, one thread, one query."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from shopfuse.core.progress import Progress
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import LENGTH_BUCKETS, submodels
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from shopfuse_exporters.onnx.export import export_submodel
from shopfuse_exporters.onnx.sample_inputs import random_inputs

LENGTH = LENGTH_BUCKETS[0]  # tokens of the query
ROUNDS, WARM_UP = 200, 20


@dataclass(frozen=True, slots=True)
class EncoderSize:
    megabytes: float
    milliseconds: float  # of a query of LENGTH tokens


def encoder_sizes(encoders: Sequence[LoadedTextEncoder], progress: Progress) -> list[EncoderSize]:
    """Of each encoder; timed in turns so that what else the machine does slows all alike."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.onnx" for number in range(len(encoders))]
        models = [_exported(*pair) for pair in zip(encoders, paths, strict=True)]
        times = _times_in_turns(models, progress)
        return [EncoderSize(path.stat().st_size / 1e6, median(own)) for path, own in zip(paths, times, strict=True)]


def _exported(encoder: LoadedTextEncoder, path: Path) -> OnnxModel:
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
