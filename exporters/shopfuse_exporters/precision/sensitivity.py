"""Which matrix products may be quantised: all, unless the answers then differ too much; then the worst stay in fp32.

Products that read the same tensor (query, key and value of one attention) stand or fall together: they share its
quantisation. Measured as 1 - cosine to the fp32 answers on the calibration rows. The costs of groups add up nearly
(MiniLM: 24 groups alone 0.0069 in sum, together 0.0071), so their sum says how many to leave out, and the model that
results is measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from shopfuse.core.progress import Progress
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse_exporters.errors import PrecisionError
from shopfuse_exporters.precision.row_cosines import row_cosines

STAGE = "measure layers"
PRODUCTS = ("MatMul", "Gemm")


@dataclass(frozen=True, slots=True)
class Group:
    """The matrix products with constant weights that read one tensor."""

    activation: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cosines between the rows of two models' answers; of the output that agrees least."""

    mean: float
    least: float

    def reaches(self, bound: Agreement) -> bool:
        """False for NaN too."""
        return self.mean >= bound.mean and self.least >= bound.least


@dataclass(frozen=True, slots=True)
class Choice:
    """`costs` is what each group costs alone, 1 - mean cosine; empty where all could be quantised at once."""

    kept: tuple[Group, ...]
    left_out: tuple[Group, ...]
    agreement: Agreement
    costs: dict[str, float]


Judge = Callable[[Sequence[Group]], Agreement]  # quantises these groups and measures


def quantisable(model: onnx.ModelProto) -> list[Group]:
    """The groups in the order of the graph."""
    matrices = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    nodes_by_activation: dict[str, list[str]] = {}
    for node in model.graph.node:
        if node.op_type in PRODUCTS and node.input[1] in matrices:
            nodes_by_activation.setdefault(node.input[0], []).append(node.name)
    return [Group(activation, tuple(nodes)) for activation, nodes in nodes_by_activation.items()]


def choose(
    declaration: Submodel, groups: Sequence[Group], judge: Judge, bound: Agreement, progress: Progress
) -> Choice:
    """As many groups as the bound allows. Raises ExportError where it allows none."""
    together = judge(groups)
    if together.reaches(bound):
        return Choice(tuple(groups), (), together, {})
    costs: dict[str, float] = {}
    for done, group in enumerate(groups, 1):
        costs[group.activation] = 1.0 - judge([group]).mean
        progress(STAGE, done, len(groups))
    worst_first = sorted(groups, key=lambda group: -costs[group.activation])
    for count in range(_first_guess(worst_first, costs, bound), len(groups)):
        kept = [group for group in groups if group not in worst_first[:count]]
        agreement = judge(kept)
        if agreement.reaches(bound):
            return Choice(tuple(kept), tuple(worst_first[:count]), agreement, costs)
    raise PrecisionError(
        f"{declaration.name}: no layer of it can be quantised: all together agree with fp32 by a mean cosine of "
        f"{together.mean:.5f} and a least of {together.least:.5f}, expected {bound.mean} and {bound.least}"
    )


def _first_guess(worst_first: Sequence[Group], costs: dict[str, float], bound: Agreement) -> int:
    """How many to leave out so that the costs of the rest, added up, keep the mean; at least one."""
    rest = np.cumsum([costs[group.activation] for group in worst_first][::-1])[::-1]
    return max(1, int(np.sum(rest > 1.0 - bound.mean)))


def answers(declaration: Submodel, path: Path, batches: Sequence[Arrays]) -> Arrays:
    """The model's outputs for all batches, joined."""
    model = OnnxModel(declaration, path)
    parts = [model.run(batch) for batch in batches]
    return {tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in declaration.outputs}


def agreement(expected: Arrays, actual: Arrays) -> Agreement:
    cosines = [row_cosines(values, actual[name]) for name, values in expected.items()]
    return Agreement(min(float(rows.mean()) for rows in cosines), min(float(rows.min()) for rows in cosines))
