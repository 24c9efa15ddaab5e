"""Structured pruning of feed-forward neurons: every layer keeps the same share, so the result is a plain checkpoint.

A neuron counts by how much its contribution to the layer's output varies: the variance of its activation times the
squared norm of its outgoing weights; what it contributes on average moves to the bias (FLAP: An et al., 2024). The
kept neurons then take over what they can predict of the removed ones, by least squares on the same activations
(ThiNet: Luo et al., 2017). It trains nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shopfuse.training.compression.bert_layers import bert_layers, ffn_size
from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.compression.token_batches import Tokens
from shopfuse.training.models.text_encoder import LoadedTextEncoder, PooledEncoder

_RIDGE = 1e-3  # a share of the mean variance: neurons that say the same must not blow up the solution


@dataclass(slots=True)
class Moments:
    """Running sums over the activations [tokens, F] of one layer's neurons."""

    count: int
    total: Tensor  # [F]
    products: Tensor  # [F, F]

    @classmethod
    def none(cls, layer: nn.Linear) -> Moments:
        neurons, made = layer.in_features, partial(layer.weight.new_zeros, dtype=torch.float64)
        return cls(0, made(neurons), made(neurons, neurons))

    def add(self, activations: Tensor) -> None:
        self.count += len(activations)
        self.total += activations.sum(0)
        self.products += activations.T @ activations

    @property
    def mean(self) -> Tensor:
        return self.total / self.count

    @property
    def covariance(self) -> Tensor:
        return self.products / self.count - torch.outer(self.mean, self.mean)


def pruned(teacher: LoadedTextEncoder, keep: float, batches: Iterable[Tokens]) -> PooledEncoder:
    """A copy of the teacher whose layers keep the share `keep` of their neurons, judged on the tokens of `batches`."""
    if not 0 < keep < 1:
        raise CompressionError(f"keep: expected a share between 0 and 1, got {keep:g}")
    count = max(1, round(keep * ffn_size(teacher.module, teacher.source)))
    student: Any = copy.deepcopy(teacher.module)
    layers: list[Any] = list(bert_layers(student, teacher.source))
    for layer, moments in zip(layers, _moments(student, layers, batches), strict=True):
        _shrink(layer, moments, count)
    student.encoder.config.intermediate_size = count
    return student  # type: ignore[no-any-return]


@torch.no_grad()
def _moments(module: nn.Module, layers: list[Any], batches: Iterable[Tokens]) -> list[Moments]:
    """The moments of each layer's neurons over all real tokens, in fp64: they are sums over very many."""
    outers: list[nn.Linear] = [layer.output.dense for layer in layers]
    moments = [Moments.none(outer) for outer in outers]
    seen: list[Tensor] = []
    hooks = [outer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0])) for outer in outers]
    for tokens in batches:
        tokens.through(module)
        for layer_moments, activations in zip(moments, seen, strict=True):
            layer_moments.add(activations[tokens.mask.bool()].double())
        seen.clear()
    for hook in hooks:
        hook.remove()
    return moments


def _shrink(layer: Any, moments: Moments, count: int) -> None:
    """Leaves the `count` neurons that matter most in `layer`."""
    inner, outer = layer.intermediate.dense, layer.output.dense
    weight = outer.weight.detach().double()  # [D, F]
    kept, gone = _ranked(moments.covariance.diagonal() * weight.square().sum(0), count)
    refitted = weight[:, kept] + weight[:, gone] @ _predicts(moments.covariance, kept, gone)
    bias = outer.bias.detach().double() + weight @ moments.mean - refitted @ moments.mean[kept]
    layer.intermediate.dense = _linear(inner.weight.detach()[kept], inner.bias.detach()[kept])
    layer.output.dense = _linear(refitted.to(outer.weight.dtype), bias.to(outer.bias.dtype))


def _ranked(importance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(kept, removed) neurons, each in their old order."""
    order = torch.argsort(importance, descending=True, stable=True)
    return order[:count].sort().values, order[count:].sort().values


def _predicts(covariance: Tensor, kept: Tensor, gone: Tensor) -> Tensor:
    """Coefficients [removed, kept] of the ridge regression of the removed neurons on the kept ones."""
    among = covariance[kept][:, kept]
    ridge = (_RIDGE * among.diagonal().mean()).clamp(min=1e-12) * torch.eye(len(kept)).to(among)
    solution: Tensor = torch.linalg.solve(among + ridge, covariance[kept][:, gone])
    return solution.T


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight.clone())
    linear.bias = nn.Parameter(bias.clone())
    return linear
