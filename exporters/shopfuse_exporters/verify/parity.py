"""Does the exported model answer as the torch module does, for every shape, in any company, under any padding?

Three questions to each model, on random and on real inputs: torch fp32 against onnxruntime at several batch sizes and
every bucket; a row alone against the same row in a batch; a row against itself padded to the larger buckets. What an
answer may differ by depends on the precision: see tolerances. The served model is asked elsewhere: this needs no
Triton.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.onnx.export import tensor_problems
from shopfuse_exporters.onnx.weights import check_file_weights
from shopfuse_exporters.verify.cases import Answer, ParityCase, RealInputs, batch_of, companies, paddings, resized
from shopfuse_exporters.verify.difference import Difference, compare
from shopfuse_exporters.verify.ranking import RankingReport
from shopfuse_exporters.verify.tolerances import QUANTISED, known, tolerance

WITNESSES = 3  # rows of a batch that are asked alone


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The evidence that goes into the release manifest. `neighbours` and `padding` are largest differences too."""

    model: str
    precision: str
    cases: int
    max_abs_diff: float
    cosine_min: float
    cosine_mean: float
    neighbours: float
    padding: float
    worst_case: str
    passed: bool
    problem: str = ""  # the first thing beyond its tolerance
    accepted: str = ""  # why a model that did not pass is released all the same
    ranking: RankingReport | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify_submodel(
    declaration: Submodel,
    cases: Sequence[ParityCase],
    path: Path,
    real_inputs: RealInputs | None = None,
    precision: str = "fp32",
    accept: str | None = None,
) -> ParityReport:
    """The report of a model that passed; raises ParityError with model, case and numbers otherwise.

    `cases` are those of cases.reference_cases. Differences beyond the tolerance are let through for the reason
    `accept`; weights or answers that are not finite, and wrong tensors, never are.
    """
    known(precision)
    model = OnnxModel(declaration, path)
    if problems := tensor_problems(declaration, onnx.load(path)):
        raise ParityError(f"{declaration.name}: {path.name} is not as declared: {'; '.join(problems)}")
    check_file_weights(declaration.name, path)
    real = real_inputs or {}
    real_only = precision in QUANTISED and any(case.real for case in cases)
    differences = [
        *_against_torch(declaration, cases, model.run, real_only),
        *_alone_and_in_company(declaration, model.run, real, real_only),
        *_under_padding(declaration, model.run, real, real_only),
    ]
    report = _report(declaration, precision, differences)
    return report if report.passed else accepted(report, accept)


def accepted(report: ParityReport, reason: str | None) -> ParityReport:
    """A report that did not pass, with the reason to release its model all the same; raises ParityError without one."""
    if reason is None:
        raise ParityError(report.problem)
    if not reason.strip():
        raise ParityError(
            f"{report.model}: a parity failure is accepted for a reason only, found none: {report.problem}"
        )
    return replace(report, accepted=reason.strip())


def _report(declaration: Submodel, precision: str, differences: Sequence[Difference]) -> ParityReport:
    against_torch = [difference for difference in differences if difference.question == "torch"]
    worst = max(against_torch, key=lambda difference: difference.max_abs)
    problem = next(_problems(declaration, precision, differences), "")
    return ParityReport(
        model=declaration.name,
        precision=precision,
        cases=len({(difference.question, difference.case) for difference in differences}),
        max_abs_diff=worst.max_abs,
        cosine_min=min(difference.cosine_min for difference in against_torch),
        cosine_mean=sum(difference.cosine_mean for difference in against_torch) / len(against_torch),
        neighbours=_largest(differences, "neighbours"),
        padding=_largest(differences, "padding"),
        worst_case=worst.case,
        passed=not problem,
        problem=problem,
    )


def _problems(declaration: Submodel, precision: str, differences: Iterable[Difference]) -> Iterator[str]:
    for difference in differences:
        if excess := difference.excess(tolerance(declaration, difference.output, precision)):
            yield (
                f"{declaration.name}: output '{difference.output}' in {precision} differs in case {difference.case}: "
                f"{excess}"
            )


def _largest(differences: Iterable[Difference], question: str) -> float:
    return max((difference.max_abs for difference in differences if difference.question == question), default=0.0)


def _against_torch(
    declaration: Submodel, cases: Sequence[ParityCase], served: Answer, real_only: bool
) -> Iterator[Difference]:
    for case in cases:
        if case.real or not real_only:
            yield from compare("torch", case.name, declaration, case.expected, served(case.inputs))


def _alone_and_in_company(
    declaration: Submodel, served: Answer, real: RealInputs, real_only: bool
) -> Iterator[Difference]:
    for is_real, inputs in companies(declaration, real):
        if real_only and not is_real:
            continue
        together = served(inputs)
        for row in range(min(WITNESSES, batch_of(inputs))):
            alone = served({name: values[row : row + 1] for name, values in inputs.items()})
            expected = {name: values[row : row + 1] for name, values in together.items()}
            case = f"{_origin(is_real)} row {row} alone and in a batch of {batch_of(inputs)}"
            yield from compare("neighbours", case, declaration, expected, alone)


def _under_padding(declaration: Submodel, served: Answer, real: RealInputs, real_only: bool) -> Iterator[Difference]:
    """Zeros, masked out, appended along the dynamic axis must not change the answer for what is real."""
    for is_real, axis, small, inputs in paddings(declaration, real):
        if real_only and not is_real:
            continue
        expected = served(inputs)
        for size in (size for size in declaration.buckets[axis] if size > small):
            padded = {tensor.name: resized(inputs[tensor.name], tensor, size) for tensor in declaration.inputs}
            answer = served(padded)
            kept = {tensor.name: resized(answer[tensor.name], tensor, small) for tensor in declaration.outputs}
            case = f"{_origin(is_real)} {axis} {small} padded to {size}"
            yield from compare("padding", case, declaration, expected, kept)


def _origin(is_real: bool) -> str:
    return "real" if is_real else "random"
