"""A shopper's image as vectors: decoded in a thread, encoded by Triton, remembered by the digest of its bytes."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.images import ImageError, decode_query
from shopfuse_gateway.errors import InvalidRequest, Unsupported
from shopfuse_gateway.releases.engine import Call, Engine
from shopfuse_gateway.releases.query_cache import EncodedImage, image_key
from shopfuse_gateway.triton.client import TritonError

FIELD = "query_image"


async def encode_image(engine: Engine, call: Call, image: bytes, share: float) -> EncodedImage | None:
    """None, and a degraded answer, where the image cannot be encoded in `share` of the time left.

    Raises Unsupported where the release has no images, InvalidRequest where the bytes are no image.
    """
    model = engine.release.models.encode_image
    if model is None:
        raise Unsupported(f"{FIELD}: the served release has no visual channel; send words in query")
    key = image_key(image)
    if (cached := engine.images.get(key)) is not None:
        return cached
    pixels = await _pixels(engine, call, image, share)
    if pixels is None:
        return None
    try:
        outputs = await engine.triton.infer(model, {"pixels": pixels}, {}, call.deadline.budget_s(share))
    except TritonError as error:
        call.journal.degrade("encode", f"IMAGE_ENCODER_{error.reason}")
        return None
    encoded = EncodedImage(outputs["image_embedding"], outputs["image_vector"])
    engine.images.put(key, encoded)
    return encoded


async def _pixels(engine: Engine, call: Call, image: bytes, share: float) -> NDArray[np.uint8] | None:
    size = engine.release.manifest.image_size
    future = asyncio.get_running_loop().run_in_executor(engine.decoders, decode_query, image, size)
    done, _ = await asyncio.wait([future], timeout=call.deadline.budget_s(share))
    if not done:
        future.cancel()
        call.journal.degrade("encode", "IMAGE_LATE")
        return None
    try:
        return future.result()
    except ImageError as error:
        raise InvalidRequest([(FIELD, str(error))]) from error
