"""Texts to vectors through a Triton that serves this encoder: a few full batches in flight, patient when it restarts.

Texts are padded to the length buckets of the wire, and every request is a full batch (the last of a bucket is filled
up with copies): Triton does not join it with what others ask at the same time, so one Triton gives the same bytes
again. They need not be those of this process (other padding, other kernels), which is why the runtime is part of what
a part is: an encoding is of one runtime throughout. It loads no model: see shopfuse.publishing.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shopfuse.core.progress import Progress, silent
from shopfuse.inference.text_encoding import padded, tokens_of
from shopfuse.ranking.tensors import Submodel, bucket
from shopfuse.triton.model_control import ModelControl
from shopfuse.triton.model_infer import answer_of, request_of
from shopfuse_exporters.encoding.plan import EncodingError
from shopfuse_exporters.encoding.run import STAGE

IN_FLIGHT = 4  # two of them wait while the two instances of the default deployment work
PATIENCE_S = 60.0  # for a Triton that restarts
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
CALL_TIMEOUT_S = 60.0
UNAVAILABLE, NOT_FOUND = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND


class TritonEncoding:
    """One version of a text encoder in a Triton; may be used by one thread, and must be closed."""

    def __init__(
        self,
        address: str,
        declaration: Submodel,
        tokenizer: Tokenizer,
        model: str,
        version: str,
        *,
        in_flight: int = IN_FLIGHT,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`model` is its name in Triton; the tokenizer truncates, see open_tokenizer."""
        self.address = address
        self.dims = int(declaration.outputs[0].dims[0])
        self.runtime = f"Triton, {declaration.max_batch} texts a request"
        self._batch = declaration.max_batch
        self._lengths = declaration.buckets["length"]
        self._model = (model, version)
        self._output = declaration.outputs[0].name
        self._tokenizer = tokenizer
        self._patience_s = patience_s
        self._triton = ModelControl(address)
        self._workers = ThreadPoolExecutor(in_flight)
        self._closing = threading.Event()
        self._answered = False

    def close(self) -> None:
        self._closing.set()
        self._workers.shutdown(cancel_futures=True)
        self._triton.close()

    def encode(self, texts: Sequence[str], progress: Progress = silent, stage: str = STAGE) -> NDArray[np.float32]:
        """The L2-normalised vectors of texts, [n, dims]. Raises EncodingError where Triton gives no good answer."""
        tokens = tokens_of(self._tokenizer, texts)
        vectors = np.zeros((len(texts), self.dims), np.float32)
        batches = list(_batches([len(ids) for ids in tokens], self._lengths, self._batch))
        answers = [self._workers.submit(self._ask, [tokens[at] for at in places], size) for places, size in batches]
        done = 0
        try:
            for (places, _), answer in zip(batches, answers, strict=True):
                vectors[places] = answer.result()[: len(places)]
                done += len(places)
                progress(stage, done, len(texts))
        finally:
            for answer in answers:
                answer.cancel()
        return vectors

    def _ask(self, tokens: list[list[int]], size: int) -> NDArray[np.float32]:
        """The vectors of one full batch, [batch, dims]."""
        full = tokens + [tokens[-1]] * (self._batch - len(tokens))
        answer = self._patiently(request_of(*self._model, padded(full, size)))
        expected = (self._output, "FP32", [self._batch, self.dims])
        outputs = [(output.name, output.datatype, list(output.shape)) for output in answer.outputs]
        if expected not in outputs:
            raise EncodingError(f"{self._where()}: expected the output {expected}, got {outputs}")
        return np.asarray(answer_of(answer)[self._output], np.float32)

    def _patiently(self, request: Any) -> Any:
        """The answer; while Triton is unavailable it asks again, for as long as the patience lasts.

        A Triton that restarts does not know its models until they are loaded: one that was there is waited for too.
        """
        give_up, wait_s = time.monotonic() + self._patience_s, FIRST_WAIT_S
        while True:
            try:
                answer = self._triton.stub.ModelInfer(request, timeout=CALL_TIMEOUT_S)
            except grpc.RpcError as error:
                passing = error.code() == UNAVAILABLE or (error.code() == NOT_FOUND and self._answered)
                late = time.monotonic() + wait_s > give_up
                # A little apart, so that requests that wait do not all come back at once.
                if not passing or late or self._closing.wait(wait_s * random.uniform(0.5, 1.0)):
                    raise self._refusal(error) from error
            else:
                self._answered = True
                return answer
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _refusal(self, error: grpc.RpcError) -> EncodingError:
        reason = " ".join(f"{error.code().name} {error.details() or ''}".split())
        return EncodingError(f"{self._where()} does not answer: {reason}; finished chunks are kept")

    def _where(self) -> str:
        name, version = self._model
        return f"Triton at {self.address}: model '{name}' version {version}"


def _batches(lengths: Sequence[int], buckets: tuple[int, ...], batch: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """(places of at most `batch` texts of one length bucket, the bucket), shortest first."""
    places_of: dict[int, list[int]] = defaultdict(list)
    for place in np.argsort(lengths, kind="stable").tolist():
        places_of[bucket(lengths[place], buckets)].append(place)
    for size, places in places_of.items():
        for start in range(0, len(places), batch):
            yield np.array(places[start : start + batch]), size
