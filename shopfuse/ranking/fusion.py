"""Score-level fusion: how the recall channels' scores become one relevance. The recipe is the table of channels.

This is the reference in numpy, for one request. The exported graph, training/fusion/score_level.py, follows it to
the digit.
It learns nothing and reads no vectors: channels come complete, or masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import SEARCH, SIMILAR, TABLE, Surface
from shopfuse.ranking.tensors import MODALITIES

FloatArray = NDArray[np.float32]

PLAIN = "weighted"  # what stands in where nothing better was learned
FUSION_METHODS = (PLAIN, "vote", "softmax")
RRF_K = 60.0  # Cormack, Clarke and Buettcher (2009)

# Which modality each channel's contribution is counted for: [K, M].
CHANNEL_MODALITY: FloatArray = np.array(
    [[float(channel.modality == modality) for modality in MODALITIES] for channel in TABLE], np.float32
)
TEMPERATURES: FloatArray = np.array([channel.temperature for channel in TABLE], np.float32)
EPSILON = 1e-6
NOTHING_LEARNED: Mapping[str, float] = MappingProxyType({})


def channel_weights(surface: Surface, learned: Mapping[str, float] = NOTHING_LEARNED) -> FloatArray:
    """The channels' weights on a surface, [K]; `learned` ones stand in for the table's in a search."""
    if surface == SEARCH:
        return np.array([learned.get(channel.name, channel.search_weight) for channel in TABLE], np.float32)
    if surface == SIMILAR:
        return np.array([channel.similar_weight for channel in TABLE], np.float32)
    return np.array([channel.recommend_weight for channel in TABLE], np.float32)


def normalise(scores: FloatArray, mask: FloatArray) -> FloatArray:
    """Each channel's scores in 0..1 among the candidates where it applies, 0 elsewhere: [c, K]."""
    known = mask > 0
    top = np.where(known, scores, -np.inf).max(0, initial=-np.inf)
    low = np.where(known, scores, np.inf).min(0, initial=np.inf)
    top, low = np.where(np.isfinite(top), top, 0.0), np.where(np.isfinite(low), low, 0.0)
    ways = [channel.normalisation for channel in TABLE]
    zero = np.where([way == "min_max" for way in ways], low, 0.0)
    span = np.where([way == "absolute" for way in ways], 1.0, top - zero)
    shares = np.clip((scores - zero) / np.maximum(span, EPSILON), 0.0, 1.0)
    return np.where(known, shares, 0.0).astype(np.float32)


def votes(scores: FloatArray, mask: FloatArray) -> FloatArray:
    """Reciprocal ranks in 0..1: 1 for a channel's best candidate, 0 for one that it did not find (score <= 0): [c, K].

    Equal scores share the best of their ranks. A vote counts as much as the channel is sure of its best candidate.
    """
    known = (mask > 0) & (scores > 0)
    better = (scores[None, :, :] > scores[:, None, :]) & known[None, :, :]  # [c, other, K]
    ranks = 1.0 + better.sum(1)
    sure = normalise(scores, mask).max(0, initial=0.0)  # [K], 1 unless the scores are absolute
    return np.where(known, sure * (RRF_K + 1.0) / (RRF_K + ranks), 0.0).astype(np.float32)


def soft_shares(scores: FloatArray, mask: FloatArray) -> FloatArray:
    """Softmax of each channel's normalised scores over the candidates, as a share of the best one's: [c, K].

    It counts as much as the channel is sure of that one.
    """
    level = normalise(scores, mask)
    sure = level.max(0, initial=0.0)
    return np.where(mask > 0, sure * np.exp((level - sure) / TEMPERATURES), 0.0).astype(np.float32)


def fuse(
    method: str,
    scores: FloatArray,
    mask: FloatArray,
    surface: Surface,
    learned: Mapping[str, float] = NOTHING_LEARNED,
) -> tuple[FloatArray, FloatArray]:
    """(relevance [c] in 0..1, modality weights [c, M]) from channel scores and mask [c, K].

    A channel that does not apply to a candidate is left out of that candidate's mean; it does not count as zero.
    """
    opinions = {"weighted": normalise, "vote": votes, "softmax": soft_shares}[method](scores, mask)
    weights = channel_weights(surface, learned) * (mask > 0)  # [c, K]
    relevance = (weights * opinions).sum(1) / np.maximum(weights.sum(1), EPSILON)
    shares = (weights * (opinions + EPSILON)) @ CHANNEL_MODALITY
    shares = shares / np.maximum(shares.sum(1, keepdims=True), EPSILON * EPSILON)
    return relevance.astype(np.float32), shares.astype(np.float32)
