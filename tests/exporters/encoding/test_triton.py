"""Texts through a real Triton: the same vectors as here, bounded, patient, and resumed after its death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.core.progress import Progress, silent
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.triton.local_triton import LocalTriton
from shopfuse_exporters.encoding.parts import part_files
from shopfuse_exporters.encoding.plan import EncodingError
from shopfuse_exporters.encoding.run import encode_all
from shopfuse_exporters.encoding.triton import IN_FLIGHT, PATIENCE_S, TritonEncoding
from shopfuse_exporters.encoding.vector_cache import VectorCache
from shopfuse_exporters.triton.model_config import config_text, model_config, warmup_files
from tests.exporters.small_shop import WORDS, save_tokenizer
from tests.exporters.tiny_models import ENCODER, TINY, TinyEncoder, exported
from tests.tritons import QUICK

MAX_TOKENS = 32
CHUNK = 40


def _texts(count: int = 200) -> list[str]:
    """Of both length buckets."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 28))) + f" {number}" for number in range(count)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return open_tokenizer(save_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"), MAX_TOKENS)


@pytest.fixture(scope="module")
def repository(encoder_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is the encoder; version 2 gives a text another vector in other company."""
    root = tmp_path_factory.mktemp("repository")
    neighbours = exported(ENCODER, TinyEncoder("batch"), tmp_path_factory.mktemp("neighbours"))
    for version, file in (("1", encoder_file), ("2", neighbours)):
        (root / "text_encoder" / version).mkdir(parents=True)
        (root / "text_encoder" / version / "model.onnx").write_bytes(file.read_bytes())
    (root / "text_encoder/config.pbtxt").write_text(config_text(model_config(ENCODER)))
    (root / "text_encoder/warmup").mkdir()
    for name, contents in warmup_files(ENCODER).items():
        (root / "text_encoder/warmup" / name).write_bytes(contents)
    return root


@pytest.fixture(scope="module")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with LocalTriton(repository, log, QUICK) as running:
        running.load("text_encoder")
        yield running


def _there(
    address: str,
    tokenizer: Tokenizer,
    version: str = "1",
    *,
    in_flight: int = IN_FLIGHT,
    patience_s: float = PATIENCE_S,
) -> closing[TritonEncoding]:
    return closing(
        TritonEncoding(address, ENCODER, tokenizer, "text_encoder", version, in_flight=in_flight, patience_s=patience_s)
    )


def test_vectors_are_those_of_this_process(triton: LocalTriton, tokenizer: Tokenizer, encoder_file: Path) -> None:
    texts = _texts(50)
    calls: list[int] = []

    with _there(triton.address, tokenizer) as there:
        vectors = there.encode(texts, lambda stage, done, total: calls.append(done))
        dims = there.dims
    assert dims == TINY
    np.testing.assert_allclose(
        vectors, TextEncoding(OnnxModel(ENCODER, encoder_file), tokenizer).encode(texts), atol=1e-6
    )
    assert calls[-1] == 50


def test_requests_at_the_same_time_are_not_joined(triton: LocalTriton, tokenizer: Tokenizer) -> None:
    with (
        _there(triton.address, tokenizer, "2", in_flight=1) as one,
        _there(triton.address, tokenizer, "2", in_flight=16) as many,
    ):
        alone, crowded = one.encode(_texts()), many.encode(_texts())

    np.testing.assert_array_equal(alone, crowded)


def _encode(encoder: TritonEncoding, folder: Path, progress: Progress = silent) -> tuple[NDArray[np.float16], int]:
    return encode_all(lambda: [_texts()], encoder, VectorCache(folder, TINY), progress, CHUNK)


class _Killer:
    """Hears the progress, and kills Triton once, when the third chunk is under way; then it may start it again."""

    def __init__(self, triton: LocalTriton, restarts: bool) -> None:
        self._triton = triton
        self._restarts = restarts
        self.killed = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        if done > 2 * CHUNK and not self.killed:
            self.killed = True
            os.kill(self._triton.pid, signal.SIGKILL)
            if self._restarts:
                self._triton.restart()


def test_the_encoding_goes_on_after_triton_was_killed(
    triton: LocalTriton, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with _there(triton.address, tokenizer, "2") as there:
        unbroken, _ = _encode(there, tmp_path / "unbroken")
    killer, folder = _Killer(triton, restarts=False), tmp_path / "broken"

    with (
        _there(triton.address, tokenizer, "2", patience_s=0.5) as there,
        pytest.raises(
            EncodingError,
            match=rf"Triton at {triton.address}: model 'text_encoder' version 2 does not answer: UNAVAILABLE",
        ),
    ):
        _encode(there, folder, killer)
    finished = len(list(part_files(folder)))
    assert finished in (2, 3)
    triton.restart()
    with _there(triton.address, tokenizer, "2") as there:
        vectors, computed = _encode(there, folder)
    assert computed == 200 - finished * CHUNK
    np.testing.assert_array_equal(vectors, unbroken)


def test_a_triton_that_restarts_is_waited_for(triton: LocalTriton, tokenizer: Tokenizer, tmp_path: Path) -> None:
    killer = _Killer(triton, restarts=True)

    with _there(triton.address, tokenizer) as there:
        vectors, computed = _encode(there, tmp_path, killer)
    assert killer.killed
    assert computed == 200
    assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(("name", "version"), [("text_encoder", "7"), ("nothing", "1")])
def test_a_model_that_triton_does_not_have_is_named_at_once(
    name: str, version: str, triton: LocalTriton, tokenizer: Tokenizer
) -> None:
    message = rf"Triton at {triton.address}: model '{name}' version {version} does not answer: .*{name}"

    with (
        closing(TritonEncoding(triton.address, ENCODER, tokenizer, name, version)) as there,
        pytest.raises(EncodingError, match=message),
    ):
        there.encode(["red lamp"])


def test_where_nothing_listens_the_address_is_named(tokenizer: Tokenizer) -> None:
    with (
        _there("127.0.0.1:9", tokenizer, patience_s=0) as there,
        pytest.raises(EncodingError, match=r"Triton at 127.0.0.1:9: .* UNAVAILABLE"),
    ):
        there.encode(["red lamp"])


class _ZerosForVectors(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers as Triton does, with zeros of some shape, and notes what it was asked."""

    def __init__(self, dims: int = TINY) -> None:
        self._dims = dims
        self.shapes: list[tuple[int, ...]] = []

    def ModelInfer(  # noqa: N802
        self, request: service_pb2.ModelInferRequest, context: grpc.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        self.shapes.append(tuple(request.inputs[0].shape))
        answer = service_pb2.ModelInferResponse()
        answer.outputs.add(name="text_embedding", datatype="FP32", shape=(8, self._dims))
        answer.raw_output_contents.append(np.zeros((8, self._dims), np.float32).tobytes())
        return answer


@contextmanager
def _served(servicer: _ZerosForVectors) -> Iterator[str]:
    """Its address, on a free port."""
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_every_request_is_a_full_batch_of_one_length_bucket(tokenizer: Tokenizer) -> None:
    zeros = _ZerosForVectors()

    with _served(zeros) as address, _there(address, tokenizer) as there:
        assert there.encode(["red lamp"] * 9 + ["red " * 20]).shape == (10, TINY)
    assert sorted(zeros.shapes) == [(8, 16), (8, 16), (8, 32)]


def test_an_output_of_another_shape_is_named(tokenizer: Tokenizer) -> None:
    with (
        _served(_ZerosForVectors(dims=3)) as address,
        _there(address, tokenizer) as there,
        pytest.raises(
            EncodingError, match=r"expected the output \('text_embedding', 'FP32', \[8, 8\]\), got .*\[8, 3\]"
        ),
    ):
        there.encode(["red lamp"])
