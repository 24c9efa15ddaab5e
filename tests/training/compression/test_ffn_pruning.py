"""Pruning removes what adds nothing, and the answer stays."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shopfuse.training.compression.bert_layers import bert_layers, evenly, with_layers
from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.compression.ffn_pruning import pruned
from shopfuse.training.compression.token_batches import Tokeniser, Tokens
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from tests.training.compression.tiny_encoder import WORDS, write_encoder

IMPORTANT = torch.arange(0, 64, 2)


@pytest.fixture
def teacher(tmp_path: Path) -> LoadedTextEncoder:
    return load_text_encoder(str(write_encoder(tmp_path / "teacher")))


def _batches(teacher: LoadedTextEncoder) -> list[Tokens]:
    texts = [" ".join(WORDS[start : start + 3 + start % 9]) for start in range(0, 1000, 9)]
    return [tokens for _, tokens in Tokeniser.of(teacher).batches(texts)]


def _answers(module: nn.Module, batches: list[Tokens]) -> Tensor:
    with torch.no_grad():
        return torch.cat([module(tokens.ids, tokens.mask) for tokens in batches])


def _nearness(student: nn.Module, teacher: LoadedTextEncoder, batches: list[Tokens]) -> float:
    return float((_answers(student, batches) * _answers(teacher.module, batches)).sum(-1).mean())


def _silence(teacher: LoadedTextEncoder, activation: float) -> None:
    """Every second neuron says the same about every token."""
    gone = torch.arange(1, 64, 2)
    for layer in list[Any](bert_layers(teacher.module, "tiny")):
        layer.intermediate.dense.weight.data[gone] = 0.0
        layer.intermediate.dense.bias.data[gone] = activation


@pytest.mark.parametrize("activation", [0.0, 1.5])
def test_neurons_that_never_vary_go_and_nothing_changes(teacher: LoadedTextEncoder, activation: float) -> None:
    _silence(teacher, activation)
    batches = _batches(teacher)

    student = pruned(teacher, 0.5, batches)

    assert torch.allclose(_answers(student, batches), _answers(teacher.module, batches), atol=1e-5)
    for mine, theirs in zip(bert_layers(student, ""), bert_layers(teacher.module, ""), strict=True):
        kept: Any = theirs
        shrunk: Any = mine
        assert torch.equal(shrunk.intermediate.dense.weight, kept.intermediate.dense.weight[IMPORTANT])


def test_the_answer_depends_on_the_neurons_that_stay(teacher: LoadedTextEncoder) -> None:
    _silence(teacher, 0.0)
    batches = _batches(teacher)

    student = pruned(teacher, 0.25, batches)

    assert not torch.allclose(_answers(student, batches), _answers(teacher.module, batches), atol=1e-2)


def test_neurons_that_repeat_others_are_taken_over_by_them(teacher: LoadedTextEncoder) -> None:
    for layer in list[Any](bert_layers(teacher.module, "tiny")):
        inner = layer.intermediate.dense
        inner.weight.data[1::2], inner.bias.data[1::2] = inner.weight.data[::2], inner.bias.data[::2]
        layer.output.dense.weight.data[:, 1::2] *= 0.5  # the copies matter less, but they do matter
    batches = _batches(teacher)

    student = pruned(teacher, 0.5, batches)

    assert _nearness(student, teacher, batches) > 0.99
    for mine, theirs in zip(
        list[Any](bert_layers(student, "")), list[Any](bert_layers(teacher.module, "")), strict=True
    ):
        mine.output.dense.weight.data = theirs.output.dense.weight.data[:, ::2]
    assert _nearness(student, teacher, batches) < 0.98  # as they were, without what the copies said


def test_the_teacher_is_left_as_it_was(teacher: LoadedTextEncoder) -> None:
    batches = _batches(teacher)
    before = _answers(teacher.module, batches)

    pruned(teacher, 0.5, batches)
    with_layers(teacher, 1)

    assert torch.equal(_answers(teacher.module, batches), before)


def test_layers_are_taken_evenly_up_to_the_last() -> None:
    assert [evenly(count, 6) for count in (1, 2, 3, 5)] == [[5], [0, 5], [0, 2, 5], [0, 1, 2, 4, 5]]


@pytest.mark.parametrize("keep", [0.0, 1.0, -0.5, 7.0, float("nan")])
def test_a_share_out_of_range_is_refused(teacher: LoadedTextEncoder, keep: float) -> None:
    with pytest.raises(CompressionError, match="keep: expected a share between 0 and 1, got"):
        pruned(teacher, keep, _batches(teacher))


@pytest.mark.parametrize("layers", [0, 2, -1])
def test_as_many_layers_as_the_teacher_has_are_refused(teacher: LoadedTextEncoder, layers: int) -> None:
    with pytest.raises(CompressionError, match="layers: expected 1 to 1"):
        with_layers(teacher, layers)
