"""Texts to labels: one call to Triton for all texts of a request, padded to the bucket of the longest.

Without the models there is no answer, so nothing is degraded here: what Triton does not give is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from shopfuse.ranking.item import CATEGORY_SEPARATOR
from shopfuse.ranking.labels import SENTIMENTS, Labels, classified_text
from shopfuse.ranking.tensors import LENGTH_BUCKETS, bucket
from shopfuse.ranking.text import searchable
from shopfuse.ranking.text_heads import CATEGORY_HEAD, HEADS, OUTPUTS, SENTIMENT_HEAD
from shopfuse.v1 import text_pb2
from shopfuse_gateway.errors import DeadlineTooShort, InvalidRequest, ModelUnavailable, Unsupported
from shopfuse_gateway.pipeline.call import Deadline
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.triton.client import TritonCallError
from shopfuse_gateway.triton.served_model import BATCH, ServedModel

DEFAULT_TOP, MAX_TOP = 3, 50
RETRY_AFTER_S = 1.0
HEAD_OF = {text_pb2.TEXT_TASK_CATEGORY: CATEGORY_HEAD, text_pb2.TEXT_TASK_SENTIMENT: SENTIMENT_HEAD}
LEARNED_FROM = {CATEGORY_HEAD: "items with a category", SENTIMENT_HEAD: "reviews"}
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextRequest:
    texts: tuple[str, ...]  # as the heads read them
    heads: tuple[str, ...]  # requested; () means all that there are
    top: int


def from_classify(message: text_pb2.ClassifyTextRequest) -> TextRequest:
    """Raises InvalidRequest naming the texts that hold no letter and no digit."""
    texts = tuple(classified_text(text) for text in message.texts)
    if empty := [place for place, text in enumerate(texts) if not searchable(text)]:
        raise InvalidRequest([(f"texts[{place}]", "holds no letter and no digit") for place in empty])
    return TextRequest(
        texts, tuple(HEAD_OF[task] for task in message.tasks), min(message.top_k or DEFAULT_TOP, MAX_TOP)
    )


async def classify(engine: Engine, request: TextRequest, deadline: Deadline) -> list[text_pb2.TextClassification]:
    """One answer for each text. Raises Unsupported, ModelUnavailable or DeadlineTooShort."""
    heads, model = _heads(engine, request.heads)
    loop = asyncio.get_running_loop()
    # Texts may be long: the tokenizer lets go of the interpreter's lock, and the loop goes on.
    tokens = await loop.run_in_executor(engine.threads, engine.release.tokenizer.encode_batch, list(request.texts))
    arrays, axes = _padded(tokens)
    try:
        outputs = await engine.triton.infer(model, arrays, axes, deadline.budget_s())
    except TritonCallError as error:
        if error.reason == "LATE":
            raise DeadlineTooShort(
                "the texts could not be read within the deadline; send fewer or shorter ones"
            ) from error
        raise ModelUnavailable("the models that read texts give no answer now", RETRY_AFTER_S) from error
    tables = {name: outputs[OUTPUTS[name]] for name in heads}  # [texts, labels]
    return [
        _classification(engine.release.labels, {name: table[row] for name, table in tables.items()}, request.top, text)
        for row, text in enumerate(tokens)
    ]


def _heads(engine: Engine, wanted: Collection[str]) -> tuple[tuple[str, ...], ServedModel]:
    """The heads to answer with, and the model that runs them."""
    there, model = engine.release.labels, engine.release.models.classify_text
    if missing := [name for name in wanted if name not in there]:
        raise Unsupported(f"tasks: the served release has learned nothing from {LEARNED_FROM[missing[0]]}")
    if model is None:
        raise Unsupported("the served release has learned no task: import items with categories, or reviews, and build")
    return tuple(name for name in HEADS if name in (wanted or there)), model


def _padded(tokens: Sequence[Encoding]) -> tuple[dict[str, NDArray[np.int64]], dict[str, int]]:
    """(input_ids and attention_mask [texts, length], the sizes of these axes)."""
    length = bucket(max(len(one.ids) for one in tokens), LENGTH_BUCKETS)
    ids, mask = (np.zeros((len(tokens), length), np.int64) for _ in range(2))
    for row, one in enumerate(tokens):
        ids[row, : len(one.ids)] = one.ids[:length]
        mask[row, : len(one.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask}, {"length": length, BATCH: len(tokens)}


def _classification(
    labels: Mapping[str, Labels], by_head: Mapping[str, Probabilities], top: int, text: Encoding
) -> text_pb2.TextClassification:
    answer = text_pb2.TextClassification(truncated=bool(text.overflowing))
    for name, probabilities in by_head.items():
        if name == CATEGORY_HEAD:
            answer.category.CopyFrom(_category(labels[name], probabilities, top))
        else:
            answer.sentiment.CopyFrom(_sentiment(labels[name], probabilities, top))
    return answer


def _category(labels: Labels, probabilities: Probabilities, top: int) -> text_pb2.TextCategory:
    ((path, probability),) = labels.answers(probabilities[None])
    return text_pb2.TextCategory(
        category=CATEGORY_SEPARATOR.join(path), probability=probability, labels=_best(labels, probabilities, top)
    )


def _sentiment(labels: Labels, probabilities: Probabilities, top: int) -> text_pb2.TextSentiment:
    of = {path[0]: float(probability) for path, probability in zip(labels.paths, probabilities, strict=True)}
    return text_pb2.TextSentiment(
        sentiment=max(of, key=lambda name: of[name]),
        score=of[SENTIMENTS[2]] - of[SENTIMENTS[0]],
        labels=_best(labels, probabilities, top),
    )


def _best(labels: Labels, probabilities: Probabilities, top: int) -> list[text_pb2.LabelProbability]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [
        text_pb2.LabelProbability(
            label=CATEGORY_SEPARATOR.join(labels.paths[place]), probability=float(probabilities[place])
        )
        for place in order
    ]
