"""A shopper's picture as vectors: decoded in a thread, encoded by Triton, remembered by the digest of its bytes."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from shopfuse.gateway.engine import Call, Engine
from shopfuse.gateway.errors import InvalidRequest, Unsupported
from shopfuse.gateway.query_cache import EncodedPicture, picture_key
from shopfuse.gateway.triton_client import TritonError
from shopfuse.ranking.pictures import PictureError, decode_query

FIELD = "query_image"


async def encode_picture(engine: Engine, call: Call, picture: bytes, share: float) -> EncodedPicture | None:
    """None, and a degraded answer, where the picture cannot be encoded in `share` of the time left.

    Raises Unsupported where the release has no pictures, InvalidRequest where the bytes are no picture.
    """
    model = engine.release.models.encode_picture
    if model is None:
        raise Unsupported(f"{FIELD}: the served release has no visual channel; send words in query")
    key = picture_key(picture)
    if (cached := engine.pictures.get(key)) is not None:
        return cached
    pixels = await _pixels(engine, call, picture, share)
    if pixels is None:
        return None
    try:
        outputs = await engine.triton.infer(model, {"pixels": pixels}, {}, call.deadline.budget_s(share))
    except TritonError as error:
        call.journal.degrade("encode", f"PICTURE_ENCODER_{error.reason}")
        return None
    encoded = EncodedPicture(outputs["image_embedding"], outputs["picture_vector"])
    engine.pictures.put(key, encoded)
    return encoded


async def _pixels(engine: Engine, call: Call, picture: bytes, share: float) -> NDArray[np.uint8] | None:
    size = engine.release.manifest.image_size
    future = asyncio.get_running_loop().run_in_executor(engine.decoders, decode_query, picture, size)
    done, _ = await asyncio.wait([future], timeout=call.deadline.budget_s(share))
    if not done:
        future.cancel()
        call.journal.degrade("encode", "PICTURE_LATE")
        return None
    try:
        return future.result()
    except PictureError as error:
        raise InvalidRequest([(FIELD, str(error))]) from error
