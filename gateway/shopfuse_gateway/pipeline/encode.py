"""Stage "encode": what the request looks for, as vectors.

A query's words and image are encoded, or come from the cache; the item of a similar-items request brings its own
vectors; only where none of them is there, the user's vector stands for the intent and must be known before recall.
Everywhere else the user tower runs inside the ranking ensemble, in the same round trip.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import RANK
from shopfuse.ranking.images import ImageError, decode_query
from shopfuse.ranking.tensors import LENGTH_BUCKETS, bucket
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import query_like
from shopfuse_gateway.errors import InvalidRequest, ItemNotFound, Unsupported
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.repeat_purchases import wanted_again
from shopfuse_gateway.pipeline.user import User, user_tensors
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.query_cache import EncodedImage, EncodedQuery, image_key
from shopfuse_gateway.triton.client import TritonCallError

Vector = NDArray[np.float32]
SHARE = 0.5  # of the time left: the ranker needs the rest
IMAGE_FIELD = "query_image"


@dataclass(frozen=True, slots=True)
class Intent:
    recall: RecallQuery
    query_vector: Vector | None = None  # [128], of the query or of the item to find others like
    user_vector: Vector | None = None  # [128], only where recall needed it


async def encode(engine: Engine, call: Call, user: User) -> Intent:
    """Raises ItemNotFound where the request's item is not in the catalogue, InvalidRequest and Unsupported for its
    image. A failing Triton leaves vectors out."""
    if call.request.seed:
        return _like_item(engine, call.request.seed)
    if call.request.query or call.request.image:
        return await _query_intent(engine, call, user)
    needed = user.is_known and call.request.surface != RANK
    vector = await _user_vector(engine, call, user) if needed else None
    history = wanted_again(engine, call, user.history)
    return Intent(RecallQuery.of_user(history, behaviour_vector=vector), user_vector=vector)


def _like_item(engine: Engine, item_id: str) -> Intent:
    indexes = engine.release.indexes
    if (row := int(indexes.items.rows([item_id])[0])) < 0:
        raise ItemNotFound(f"item_id: the catalogue has no item {item_id!r}")
    like = query_like(indexes, row)
    return Intent(like, query_vector=like.behaviour_vector)


async def _query_intent(engine: Engine, call: Call, user: User) -> Intent:
    """Of words, an image, or both; the two are encoded side by side."""
    request = call.request
    readable = request.query and not engine.release.manifest.without_meaning
    words, image = await asyncio.gather(
        _encode_words(engine, call, call.reading.text) if readable else _nothing(),
        _encode_image(engine, call, request.image) if request.image else _nothing(),
    )
    vector = _middle(words.query_vector if words else None, image.image_vector if image else None)
    query = RecallQuery.of_user(
        user.history,
        request.query,
        words.text_embedding if words else None,
        vector,
        image.image_embedding if image else None,
        request.disable_correction,
    )
    return Intent(query, query_vector=vector)


async def _nothing() -> None:
    return None


def _middle(words: Vector | None, image: Vector | None) -> Vector | None:
    """The direction between two vectors [128] of length 1, or the one that is there."""
    if words is None or image is None:
        return words if image is None else image
    middle = words + image
    length = float(np.linalg.norm(middle))
    return (middle / length).astype(np.float32) if length > 0 else words


async def _encode_words(engine: Engine, call: Call, query: str) -> EncodedQuery | None:
    """Of the query as it was read: that is also what it is remembered by."""
    if (cached := engine.queries.get(query)) is not None:
        return cached
    tokens = engine.release.tokenizer.encode(query)
    length = bucket(len(tokens.ids), LENGTH_BUCKETS)
    arrays = {"input_ids": _padded(tokens.ids, length), "attention_mask": _padded(tokens.attention_mask, length)}
    model, budget_s = engine.release.models.encode_query, call.deadline.budget_s(SHARE)
    try:
        outputs = await engine.triton.infer(model, arrays, {"length": length}, budget_s)
    except TritonCallError as error:
        call.trace.degrade("encode", f"QUERY_ENCODER_{error.reason}")
        return None
    encoded = EncodedQuery(outputs["text_embedding"], outputs["query_vector"])
    engine.queries.put(query, encoded)
    return encoded


async def _encode_image(engine: Engine, call: Call, image: bytes) -> EncodedImage | None:
    """None, and a degraded answer, where the image cannot be encoded in its share of the time left.

    Raises Unsupported where the release has no images, InvalidRequest where the bytes are no image.
    """
    model = engine.release.models.encode_image
    if model is None:
        raise Unsupported(f"{IMAGE_FIELD}: the served release has no visual channel; send words in query")
    key = image_key(image)
    if (cached := engine.images.get(key)) is not None:
        return cached
    pixels = await _pixels(engine, call, image)
    if pixels is None:
        return None
    try:
        outputs = await engine.triton.infer(model, {"pixels": pixels}, {}, call.deadline.budget_s(SHARE))
    except TritonCallError as error:
        call.trace.degrade("encode", f"IMAGE_ENCODER_{error.reason}")
        return None
    encoded = EncodedImage(outputs["image_embedding"], outputs["image_vector"])
    engine.images.put(key, encoded)
    return encoded


async def _pixels(engine: Engine, call: Call, image: bytes) -> NDArray[np.uint8] | None:
    size = engine.release.manifest.image_size
    future = asyncio.get_running_loop().run_in_executor(engine.decoders, decode_query, image, size)
    done, _ = await asyncio.wait([future], timeout=call.deadline.budget_s(SHARE))
    if not done:
        future.cancel()
        call.trace.degrade("encode", "IMAGE_LATE")
        return None
    try:
        return future.result()
    except ImageError as error:
        raise InvalidRequest([(IMAGE_FIELD, str(error))]) from error


async def _user_vector(engine: Engine, call: Call, user: User) -> Vector | None:
    arrays = user_tensors(engine, call, user)
    try:
        outputs = await engine.triton.infer(engine.release.models.user_tower, arrays, {}, call.deadline.budget_s(SHARE))
    except TritonCallError as error:
        call.trace.degrade("encode", f"USER_ENCODER_{error.reason}")
        return None
    return outputs["user_vector"]


def _padded(values: list[int], length: int) -> NDArray[np.int64]:
    array = np.zeros(length, np.int64)
    array[: min(len(values), length)] = values[:length]
    return array
