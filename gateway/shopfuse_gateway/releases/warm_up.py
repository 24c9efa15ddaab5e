"""Whether Triton serves all models of a release, told before the release answers anyone.

Each model gets one request, so that the first shopper does not pay for what Triton and we set up on first use.
"""

from __future__ import annotations

import asyncio

import numpy as np

from shopfuse.ranking.tensors import COUNT_BUCKETS, LENGTH_BUCKETS, NUMPY_TYPE
from shopfuse.release.manifest import ReleaseError
from shopfuse_gateway.releases.loaded_release import ServedModels
from shopfuse_gateway.triton.client import TritonCallError, TritonClient
from shopfuse_gateway.triton.served_model import ServedModel

READY_TIMEOUT_S = 2.0
WARM_TIMEOUT_S = 5.0
SMALLEST = {"length": LENGTH_BUCKETS[0], "candidates": COUNT_BUCKETS[0]}


class ModelsNotReady(ReleaseError):
    """A release whose models Triton does not serve, or not yet."""


async def not_served(triton: TritonClient, models: ServedModels) -> list[str]:
    """The models that Triton does not serve."""
    ready = await asyncio.gather(*(triton.ready(model, READY_TIMEOUT_S) for model in models.all))
    return [
        f"{model.name} {model.version}".strip() for model, served in zip(models.all, ready, strict=True) if not served
    ]


async def warm_up(triton: TritonClient, models: ServedModels) -> None:
    """Raises ModelsNotReady naming the models that are not there or give no whole answer."""
    if missing := await not_served(triton, models):
        raise ModelsNotReady(f"Triton does not serve {', '.join(missing)}")
    for model in models.all:
        try:
            await _ask(triton, model)
        except TritonCallError as error:
            raise ModelsNotReady(f"{error.reason}: {error}") from error


async def _ask(triton: TritonClient, model: ServedModel) -> None:
    """A request of ones, which every model can answer: a word, an event, a candidate, nothing masked."""
    named = {dim for tensor in model.inputs for dim in tensor.dims if isinstance(dim, str)}
    axes = {name: size for name, size in SMALLEST.items() if name in named}
    arrays = {tensor.name: np.ones(tensor.shape(1, axes)[1:], NUMPY_TYPE[tensor.dtype]) for tensor in model.inputs}
    await triton.infer(model, arrays, axes, WARM_TIMEOUT_S)
