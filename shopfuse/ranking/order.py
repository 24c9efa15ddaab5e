"""What no score decides: an item that the query names by its number comes first, and one that contradicts a quantity of
the query stands behind those that agree.

Whatever has ranked the candidates, a fusion of channels or a trained ranker, its scores pass through here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN

Floats = NDArray[np.float32]

LEADS = 0.5  # of the channel "identifier": from here on it is sure enough to lead
STEP = 1e-3  # of the scores' range: by how much at most an item stands behind the one that it is put behind
ROUNDING = 1e-4
_IDENTIFIER, _QUANTITY, _COVERAGE = (CHANNEL_COLUMN[name] for name in ("identifier", "quantity", "coverage"))


def in_order(relevance: Floats, scores: Floats, mask: Floats) -> Floats:
    """The relevance [c] with both rules applied, from the channels' scores and mask [c, K]."""
    if len(relevance) == 0:
        return relevance
    return _named_first(_agreeing_first(relevance, scores, mask), scores, mask)


def _named_first(relevance: Floats, scores: Floats, mask: Floats) -> Floats:
    """The surer the name, the further up; among equally sure ones by relevance."""
    named = np.where(mask[:, _IDENTIFIER] > 0, scores[:, _IDENTIFIER], 0.0)
    if not (named >= LEADS).any():
        return relevance
    span = float(np.ptp(relevance))
    return np.where(named >= LEADS, relevance + (span + 1.0) * named / LEADS, relevance).astype(np.float32)


def _agreeing_first(relevance: Floats, scores: Floats, mask: Floats) -> Floats:
    """A contradicting item falls behind every agreeing one that holds as much of the rest of the query, no deeper: a
    drill of 12 V stands behind the drills of 18 V, not behind a battery of 18 V that is no drill."""
    said = mask[:, _QUANTITY] > 0
    agrees, contradicts = said & (scores[:, _QUANTITY] >= 1.0), said & (scores[:, _QUANTITY] <= 0.0)
    if not (agrees.any() and contradicts.any()):
        return relevance
    held = np.where(mask[:, _COVERAGE] > 0, scores[:, _COVERAGE], 0.0)
    # What the quantity itself counts for in the coverage: what the best item that agrees has before the best other one.
    rest = held[agrees] - max(float(held[agrees].max() - held[contradicts].max()), 0.0)
    by_rest = np.argsort(-rest, kind="stable")
    lowest = np.minimum.accumulate(relevance[agrees][by_rest])
    enough = np.searchsorted(-rest[by_rest], ROUNDING - held[contradicts], side="right")  # agreeing ones that hold it
    bound = np.where(enough > 0, lowest[np.maximum(enough, 1) - 1], np.inf)
    own, step = relevance[contradicts], STEP * max(float(np.ptp(relevance)), 1e-6)
    behind = bound - step * (0.5 + 0.5 * (own.max() - own) / max(float(np.ptp(own)), 1e-6))
    ordered = relevance.copy()
    ordered[contradicts] = np.minimum(own, behind)
    return ordered
