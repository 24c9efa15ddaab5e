"""The requests of a golden set with the answers of torch: real texts of many lengths, candidate lists of many sizes.

A case is one request with a value for every tensor name: the modules are run one after the other as the ensembles join
them, so that an ensemble's expected answers are those of its steps. Writing and bounds are golden_set's task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from shopfuse.ranking.tensors import NUMPY_TYPE, Arrays, Submodel
from shopfuse.ranking.text_heads import HEADS
from shopfuse_exporters.onnx.sample_inputs import random_inputs
from shopfuse_exporters.verify.cases import RealInputs, torch_answer

# (tokens of the text, candidates) of each case: every bucket, and two or more cases in most, so that Triton has
# neighbours to put together.
SIZES = (
    (4, 5), (6, 20), (9, 32), (12, 28), (14, 64), (16, 50),
    (20, 100), (32, 128), (48, 200), (64, 256), (100, 7), (128, 400),
)  # fmt: skip
ORDER = (
    "text_encoder",
    "image_encoder",
    "query_tower",
    "image_tower",
    "item_tower",
    "user_tower",
    "fusion_ranker",
    *HEADS,
)
SEED = 23


def golden_cases(
    declared: Mapping[str, Submodel],
    modules: Mapping[str, nn.Module],
    texts: Sequence[Sequence[int]],
    real: Mapping[str, RealInputs],
    max_tokens: int,
) -> list[Arrays]:
    """All tensors of each case by name, without batch axis and padding; `texts` are token lists, none of them empty."""
    cases = []
    for place, (length, count) in enumerate(SIZES):
        ids = _text(texts, place, min(length, max_tokens))
        cases.append(_case(declared, modules, ids, _rows(declared, real, place, count), count, place))
    return cases


def _text(texts: Sequence[Sequence[int]], place: int, length: int) -> list[int]:
    """The text at `place`, cut to `length` tokens, or filled up to it with the insides of those that follow."""
    own = list(texts[place % len(texts)])
    first, inner, last = own[:1], own[1:-1], own[-1:]
    while len(inner) < length - 2:
        place += 1
        following = list(texts[place % len(texts)])
        inner += following[1:-1] or following
    return (first + inner[: max(0, length - 2)] + last)[:length]


def _rows(declared: Mapping[str, Submodel], real: Mapping[str, RealInputs], place: int, count: int) -> Arrays:
    """What the shop gives for case `place`, [1, ...]; candidates are repeated up to `count`."""
    rows: Arrays = {}
    for name, declaration in declared.items():
        shop_rows = real.get(name, {})
        for tensor in declaration.inputs:
            if tensor.name in shop_rows:
                value = shop_rows[tensor.name][place % len(shop_rows[tensor.name])].astype(NUMPY_TYPE[tensor.dtype])
                of_list = "candidates" in tensor.dims
                rows[tensor.name] = (np.resize(value, (count, *value.shape[1:])) if of_list else value)[None]
    return rows


def _case(
    declared: Mapping[str, Submodel],
    modules: Mapping[str, nn.Module],
    ids: Sequence[int],
    rows: Arrays,
    count: int,
    place: int,
) -> Arrays:
    """Random values where the shop gives none, then torch's answers in the place of what earlier models give."""
    rng = np.random.default_rng([SEED, place])
    own: Arrays = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
    known = rows | own
    for name in (name for name in ORDER if name in declared):
        declaration = declared[name]
        known = random_inputs(declaration, 1, {"length": len(ids), "candidates": count}, rng) | known
        known |= torch_answer(declaration, modules[name])(
            {tensor.name: known[tensor.name] for tensor in declaration.inputs}
        )
    return {name: value[0] for name, value in known.items()}
