"""A workspace's catalogue through its text encoder: what `shopfuse encode` runs, and what a build finds done.

This room put together; the catalogue is read as a stream, and its items are those of `build`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.release.manifest import ModelVersion, ReleaseError
from shopfuse.release.verify import read_manifest, sha256_file
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse_exporters.encoding.encoder import (
    WorkspaceEncoder,
    catalogue_texts,
    export_text_encoder,
    open_encoder,
)
from shopfuse_exporters.encoding.merge import merge
from shopfuse_exporters.encoding.plan import EncodingError, Shard, make_plan
from shopfuse_exporters.encoding.run import STAGE, TextEncoder, Texts, encode_all, encode_chunks, keys_of_all
from shopfuse_exporters.encoding.triton import IN_FLIGHT, TritonEncoding
from shopfuse_exporters.encoding.vector_cache import VectorCache
from shopfuse_exporters.errors import BuildError
from shopfuse_exporters.precision.precisions import FULL
from shopfuse_exporters.steps import disk_errors_named
from shopfuse_exporters.verify.tolerances import tolerance

WITNESSES = 8  # texts that a Triton must encode as this process does
LEAST_COSINE = 0.999  # of a witness's two vectors: a GPU's fp32 may be TF32


def encode_workspace(
    workspace: Workspace,
    shard: Shard | None = None,
    precision: str = FULL,
    triton: str = "",
    in_flight: int = IN_FLIGHT,
    progress: Progress = silent,
) -> tuple[int, int]:
    """Encodes the texts that have no vector yet: all of them, or the chunks of one shard, here or through a Triton.

    Gives (the items of the catalogue, how many texts were computed now). Raises a ShopfuseError naming what is wrong;
    finished chunks stay, and the next run goes on.
    """
    with disk_errors_named(STAGE), ExitStack() as stack:
        if shard is None:
            stack.enter_context(workspace_lock(workspace.root))
        job = _open(workspace, precision, progress)
        encoder: TextEncoder = job.encoder.encoding
        if triton:
            encoder = stack.enter_context(job.through(triton, in_flight))
        if shard is None:
            vectors, computed = encode_all(job.texts, encoder, job.cache, progress)
            return len(vectors), computed
        keys = keys_of_all(job.texts)
        plan = make_plan(keys, job.cache.known.keys, job.cache.encoder, encoder.runtime)
        return len(keys), encode_chunks(job.texts, plan, encoder, job.cache, shard, progress)


def merge_workspace(
    workspace: Workspace, folders: list[Path], precision: str = FULL, progress: Progress = silent
) -> int:
    """Puts the shards below the folders and in the workspace together; how many items that are. See merge."""
    with disk_errors_named("merge"), workspace_lock(workspace.root):
        job = _open(workspace, precision, progress)
        return len(merge(job.texts, job.cache, folders))


@dataclass(frozen=True, slots=True)
class _Job:
    """What every way of encoding needs; the torch module is gone by now."""

    workspace: Workspace
    texts: Texts
    encoder: WorkspaceEncoder

    @property
    def cache(self) -> VectorCache:
        return self.encoder.cache

    @contextmanager
    def through(self, address: str, in_flight: int) -> Iterator[TritonEncoding]:
        """The same encoder in a Triton. Raises EncodingError where that serves another one."""
        model, tokenizer = self.encoder.model, self.encoder.tokenizer
        served = _served(self.workspace.paths.releases, sha256_file(model.path))
        name, version = served.model, str(served.version)
        encoding = TritonEncoding(address, model.declaration, tokenizer, name, version, in_flight=in_flight)
        with closing(encoding) as there:
            sample = next(iter(self.texts()))[:WITNESSES]
            least = min(LEAST_COSINE, tolerance(model.declaration, "text_embedding", model.precision).cosine_min)
            cosine = float(np.sum(there.encode(sample) * self.encoder.encoding.encode(sample), axis=1).min())
            if not cosine >= least:
                raise EncodingError(
                    f"Triton at {address}: model '{name}' version {version} is not this workspace's text encoder: "
                    f"a text's two vectors have cosine {cosine:.4f} (at least {least})"
                )
            yield there


def _open(workspace: Workspace, precision: str, progress: Progress) -> _Job:
    if not workspace.items().head(1).collect().height:
        raise BuildError(f"{workspace.paths.items}: the catalogue holds no item; import one first")
    progress("load text encoder", 0, 0)
    encoder = load_text_encoder(encoder_name(workspace))
    progress("export text encoder", 0, 0)
    model = export_text_encoder(workspace, encoder, precision)
    return _Job(workspace, lambda: catalogue_texts(workspace), open_encoder(workspace, encoder, model))


def _served(releases: Path, onnx_sha256: str) -> ModelVersion:
    """The name and version under which Triton serves this file. Raises EncodingError where no release has it."""
    for folder in sorted(releases.glob("r*"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            model = read_manifest(folder).models["text_encoder"]
        except (ReleaseError, KeyError):
            continue  # not a release that could be served
        if model.sha256 == onnx_sha256:
            return model
    raise EncodingError(f"{releases}: no release serves this text encoder ({onnx_sha256[:12]}); build and publish one")
