"""The rows that are counted, not trained: popularity, item-kNN, and item-kNN beside transitions.

Their few settings are chosen on validation users, as those of every other row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.neighbours import Neighbours, following, together
from shopfuse.training.sequences.scoring import Scores, ranks
from shopfuse.training.sequences.split import Cases, Histories, Split

STAGE = "count neighbours"
_SHRINKS = (5.0, 20.0, 60.0)
_DECAYS = (0.5, 0.7, 0.85, 1.0)
_WEIGHTS = (0.5, 1.0, 2.0)  # of transitions beside kNN
_WATCHED = 2000  # validation users that settings are chosen on
_TIE = np.float32(1e-6)  # popularity decides between items that are equally near


@dataclass(frozen=True, slots=True)
class CountedSettings:
    shrink: float
    decay: float  # of a history item's weight, a step back
    weight: float  # of transitions


@dataclass(frozen=True, slots=True)
class Counted:
    """Neighbours of both kinds, counted in the training histories, and what was chosen on validation."""

    popularity: NDArray[np.float32]  # [N] training events, the largest 1
    together: Neighbours
    following: Neighbours
    settings: CountedSettings

    def rows(self) -> dict[str, Scores]:
        return {
            "popularity": self._popular,
            "item_knn": lambda histories: self._near(histories) + _TIE * self.popularity,
            "item_knn_transitions": lambda histories: (
                self._near(histories) + self.settings.weight * self._next(histories) + _TIE * self.popularity
            ),
        }

    def _popular(self, histories: Histories) -> NDArray[np.float32]:
        return np.tile(self.popularity, (len(histories), 1))

    def _near(self, histories: Histories) -> NDArray[np.float32]:
        return self.together.scores(histories, self.settings.decay)

    def _next(self, histories: Histories) -> NDArray[np.float32]:
        return self.following.scores(histories, self.settings.decay)


def count_rows(split: Split, progress: Progress = silent) -> Counted:
    """Counts, and chooses shrink, decay and weight by the validation NDCG@10 of item_knn_transitions."""
    watched = split.validation.take(np.random.default_rng(0).permutation(len(split.validation))[:_WATCHED])
    tried = [_tried(split, shrink) for shrink in _SHRINKS]
    candidates = [(counted, decay, weight) for counted, decay, weight in product(tried, _DECAYS, _WEIGHTS)]
    return _best(candidates, watched, progress)


def _tried(split: Split, shrink: float) -> Counted:
    near, after = (count(split.train, split.item_count, shrink) for count in (together, following))
    popularity = (split.train_counts / max(1, split.train_counts.max())).astype(np.float32)
    return Counted(popularity, near, after, CountedSettings(shrink, 1.0, 1.0))


def _best(candidates: Iterable[tuple[Counted, float, float]], watched: Cases, progress: Progress) -> Counted:
    best, highest = None, -1.0
    listed = list(candidates)
    for done, (counted, decay, weight) in enumerate(listed, 1):
        settings = CountedSettings(counted.settings.shrink, decay, weight)
        chosen = replace(counted, settings=settings)
        ndcg = ndcg10(ranks(chosen.rows()["item_knn_transitions"], watched))
        if ndcg > highest:
            best, highest = chosen, ndcg
        progress(STAGE, done, len(listed))
    assert best is not None
    return best
