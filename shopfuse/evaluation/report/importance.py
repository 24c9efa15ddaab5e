"""Section: what each input of the ranker is worth, by permuting it on held-out lists (Breiman, 2001).

An input of the candidates is permuted among the candidates of each list, so that it keeps its values and loses its
owner; an input of the request is permuted among the lists. Channels and features are permuted one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopfuse.core.progress import Progress
from shopfuse.evaluation.report.context import ReportContext
from shopfuse.evaluation.report.judged_lists import JudgedLists
from shopfuse.evaluation.report.rankings import ndcg_of
from shopfuse.evaluation.report.section import Bars, Cell, Estimate, Section, Table
from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.tensors import MODALITIES
from shopfuse.training.examples.ranker_data import GAIN, batch_of
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.trainers.ranker_choice import score_of

STAGE = "permute inputs"
ROUNDS = 2
MOST_LISTS = 600
SHOWN = 20  # bars; the table holds all
_READING = (
    "How far NDCG@10 of held-out lists falls when one input is permuted: channels, features and modalities among the "
    "candidates of each list, what is known of the request among the lists; mean of two permutations, 95 % bootstrap "
    "interval over lists. Inputs that say the same share their worth, so that a small bar does not mean useless. "
    "Candidates that were recalled and not shown count as not wanted."
)


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to permute: the tensors by name, each with the index of its last axis or None for all of it."""

    name: str
    kind: str
    tensors: tuple[tuple[str, int | None], ...]
    of_request: bool = False


def ranker_inputs() -> list[Input]:
    """Every input of the ranker but the masks that say what exists."""
    return [
        *(
            Input(name, "channel", (("channel_scores", place), ("channel_mask", place)))
            for place, name in enumerate(CHANNELS)
        ),
        *(Input(name, "feature", (("features", place),)) for place, name in enumerate(FEATURES)),
        *(
            Input(f"{name} of the item", "modality", (("modality_vectors", place), ("modality_mask", place)))
            for place, name in enumerate(MODALITIES)
        ),
        Input("item vector", "vector", (("item_vectors", None),)),
        Input("query vector", "request", (("query_vector", None), ("query_present", None)), of_request=True),
        Input("user vector", "request", (("user_vector", None), ("user_present", None)), of_request=True),
        Input(
            "history",
            "request",
            tuple((f"history_{part}", None) for part in ("vectors", "events", "gaps", "mask")),
            of_request=True,
        ),
        Input("context", "request", (("context", None),), of_request=True),
    ]


def importance_section(context: ReportContext, judged: JudgedLists | None, progress: Progress) -> Section:
    falls = {} if judged is None else importance(context, judged, progress)
    order = sorted(falls, key=lambda part: -falls[part].mean)
    count = 0 if judged is None else min(len(judged.clicked), MOST_LISTS)
    late = context.bench.held_out
    rows: list[tuple[Cell, ...]] = [(part.name, part.kind, falls[part]) for part in order]
    axis = "fall of NDCG@10"
    plot = Bars(
        "What the ranker relies on", axis, tuple(part.name for part in order[:SHOWN]),
        {axis: tuple(falls[part] for part in order[:SHOWN])},
    )  # fmt: skip
    return Section(
        key="importance",
        title="Inputs of the ranker",
        reading=_READING,
        provenance=context.provenance(
            f"{count} lists with an event", f"{ROUNDS} permutations", "nothing held out" if late is None else late.what
        ),
        plots=(plot,) if falls else (),
        tables=(Table("All inputs", ("input", "kind", axis), tuple(rows)),) if falls else (),
        missing=() if falls else ("the worth of the ranker's inputs: no list with an event is held out",),
    )


def importance(context: ReportContext, judged: JudgedLists, progress: Progress) -> dict[Input, Estimate]:
    """The fall of NDCG@10 for every input of the ranker."""
    chosen = judged.clicked[-MOST_LISTS:]
    if len(chosen) == 0:
        return {}
    inputs = batch_of(judged.data, judged.items, chosen).inputs
    gains = GAIN[judged.data.lists.outcome[chosen]]
    ranker, tasks = context.bench.models.fusion_ranker, context.bench.models.tasks
    whole = _ndcg(ranker, tasks, gains, inputs)
    random = torch.Generator().manual_seed(context.seed)
    falls = {}
    parts = ranker_inputs()
    for done, part in enumerate(parts):
        progress(STAGE, done, len(parts))
        permuted = [_ndcg(ranker, tasks, gains, changed) for changed in _permuted(inputs, part, random)]
        falls[part] = context.mean(whole - np.mean(permuted, axis=0))
    progress(STAGE, len(parts), len(parts))
    return falls


@torch.no_grad()
def _ndcg(
    ranker: nn.Module, tasks: dict[str, float], gains: NDArray[np.float32], inputs: RankerInputs
) -> NDArray[np.float64]:
    """NDCG@10 of each list by the gains of its outcomes [R, L]: [R]."""
    probabilities, _ = ranker(*inputs)
    scores = np.where(inputs.candidate_mask.numpy() > 0, score_of(probabilities.numpy(), tasks), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    return np.array([ndcg_of(gain, row) for gain, row in zip(gains, order, strict=True)], np.float64)


def _permuted(inputs: RankerInputs, part: Input, random: torch.Generator) -> Iterator[RankerInputs]:
    """The inputs with one of them permuted, ROUNDS times."""
    for _ in range(ROUNDS):
        order = _order_of_lists(inputs, random) if part.of_request else _order_of_candidates(inputs, random)
        changed = {name: _moved(getattr(inputs, name), place, order) for name, place in part.tensors}
        yield inputs._replace(**changed)


def _order_of_lists(inputs: RankerInputs, random: torch.Generator) -> Tensor:
    return torch.randperm(len(inputs.context), generator=random)


def _order_of_candidates(inputs: RankerInputs, random: torch.Generator) -> Tensor:
    """For every list a permutation of its real candidates; padding stays where it is: [R, L]."""
    lots = torch.rand(inputs.candidate_mask.shape, generator=random)
    real = inputs.candidate_mask > 0
    drawn = torch.where(real, lots, 2.0).argsort(1)  # real candidates in a random order, then padding
    places = torch.where(real, 0, 1).argsort(dim=1, stable=True)  # real candidates in their order, then padding
    return torch.empty_like(drawn).scatter_(1, places, drawn)


def _moved(values: Tensor, place: int | None, order: Tensor) -> Tensor:
    """Rows (order [R]) or candidates (order [R, L]) in another order; only column `place` where one is named."""
    rows = order if order.ndim == 1 else (torch.arange(len(order))[:, None], order)
    if place is None:
        return values[rows]
    moved = values.clone()
    moved[:, :, place] = values[:, :, place][rows]
    return moved
