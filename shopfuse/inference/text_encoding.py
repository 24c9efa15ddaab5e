"""Texts to vectors in this process, through the exported and verified encoder: the same graph that Triton serves.

Texts are sorted by length and padded to a multiple of PAD_TO, which is finer than the buckets of the wire: here no
other request has to fit the shape (measured: 20 % less work). The same texts give the same bytes, however many threads
run. It keeps nothing: see shopfuse_exporters.encoding.run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shopfuse.core.progress import Progress, silent
from shopfuse.inference.onnx_model import ModelFileError, OnnxModel
from shopfuse.ranking.tensors import Arrays

PAD_TO = 8
# Of one batch; larger ones fall out of a core's cache (measured: 8 x 24 tokens beat 32 x 24 by 5 %).
TOKENS_AT_ONCE = 256
TEXTS_AT_ONCE = 8192  # sorted together


def open_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    """A fast tokenizer that truncates to `max_tokens` and does not pad. Raises ModelFileError naming the file."""
    if not path.is_file():
        raise ModelFileError(f"{path}: no tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ModelFileError(f"{path}: not a tokenizer ({error})") from error
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def tokens_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text, truncated as the tokenizer says."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


class TextEncoding:
    """A tokenizer and its encoder."""

    def __init__(self, model: OnnxModel, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self.dims = int(model.declaration.outputs[0].dims[0])
        self.runtime = f"onnxruntime {onnxruntime.__version__}, {TOKENS_AT_ONCE} tokens a call"

    def encode(
        self, texts: Sequence[str], progress: Progress = silent, stage: str = "encode texts"
    ) -> NDArray[np.float32]:
        """The L2-normalised vectors of texts, [n, dims]."""
        vectors = np.zeros((len(texts), self.dims), np.float32)
        done = 0
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
            for places, answer in self._answers(texts, workers):
                vectors[places] = answer
                done += len(places)
                progress(stage, done, len(texts))
        return vectors

    def _answers(
        self, texts: Sequence[str], workers: ThreadPoolExecutor
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
        """(places among `texts`, their vectors), batch by batch; batches run in parallel."""
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens = self.tokens(texts[start : start + TEXTS_AT_ONCE])
            batches = list(_batches([len(ids) for ids in tokens]))
            answers = workers.map(partial(self._run, tokens), batches)
            yield from zip([start + places for places in batches], answers, strict=True)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        return tokens_of(self._tokenizer, texts)

    def _run(self, tokens: list[list[int]], places: NDArray[np.int64]) -> NDArray[np.generic]:
        return self._model.run(padded([tokens[place] for place in places]))["text_embedding"]


def padded(tokens: Sequence[Sequence[int]], pad_to: int = PAD_TO) -> Arrays:
    """The encoder's inputs for token lists: [n, longest, rounded up to a multiple of `pad_to`]."""
    longest = max(max(map(len, tokens)), 1)
    shape = (len(tokens), -(-longest // pad_to) * pad_to)
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _batches(lengths: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """Places of texts of similar length, about TOKENS_AT_ONCE tokens in each batch, shortest first."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        # The last of a batch is its longest: count with the first and look once more at what that gives.
        rows = max(1, TOKENS_AT_ONCE // max(lengths[order[start]], 1))
        longest = lengths[order[min(start + rows, len(order)) - 1]]
        rows = max(1, min(rows, TOKENS_AT_ONCE // max(longest, 1)))
        yield order[start : start + rows]
        start += rows
