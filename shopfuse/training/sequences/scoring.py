"""What a trained sequence model says of every item, and where a target stands among all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.training.sequences.model import SequenceModel
from shopfuse.training.sequences.split import Cases, Histories

Scores = Callable[[Histories], NDArray[np.float32]]  # [U, N]

_BLOCK = 256  # users whose scores of all items are held at once
_SEEN = np.float32(-np.inf)
NOWHERE = np.int32(2**31 - 1)  # the rank of what is not ranked


@torch.no_grad()
def model_scores(model: SequenceModel, histories: Histories) -> NDArray[np.float32]:
    """Log probability of every item as the next one, [U, N]. The model is in evaluation mode."""
    vectors = model.items()
    table = torch.from_numpy(histories.padded(model.settings.history, len(vectors) - 1)).to(vectors.device)
    lengths = (table < len(vectors) - 1).sum(1)
    states = model(vectors, table[:, : max(1, int(lengths.max()))])
    newest = states[torch.arange(len(table), device=table.device), lengths - 1]  # [U, width]
    scores: NDArray[np.float32] = torch.log_softmax(newest @ vectors[:-1].T, dim=1).cpu().numpy()
    return scores


def without_seen(scores: NDArray[np.float32], histories: Histories) -> NDArray[np.float32]:
    """`scores` [U, N], in place, with -inf for what a user already has."""
    users, items, _ = histories.flat()
    scores[users, items] = _SEEN
    return scores


def ranks(scores: Scores, cases: Cases) -> NDArray[np.int32]:
    """The rank of each target among all items, from 1; ties count against it. NOWHERE where the user already has it
    and cases do not come again."""
    of_targets = np.full(len(cases), NOWHERE, np.int32)
    for start in range(0, len(cases), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(cases)))
        block = cases.take(np.arange(part.start, part.stop))
        said = scores(block.inputs)
        ranked = said if block.again else without_seen(said, block.inputs)
        rows = np.arange(len(block))
        target = ranked[rows, block.targets]
        above = (ranked >= target[:, None]).sum(1)  # the target itself is one of them
        of_targets[part] = np.where(np.isneginf(target), NOWHERE, above)
    return of_targets
