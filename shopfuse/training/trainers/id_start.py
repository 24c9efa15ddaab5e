"""Id embeddings to begin with: what goes together already lies together.

The leading eigenvectors of the symmetric matrix of neighbours and transitions, scaled by the roots of their eigenvalues
as in spectral embeddings, found by randomised subspace iteration (Halko, Martinsson and Tropp, 2011). Towers that begin
so begin about where item-kNN ends, and need a third of the epochs.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from shopfuse.ranking.tensors import TOKEN
from shopfuse.recall.neighbours import HALF_SURE, build_neighbours, build_transitions
from shopfuse.recall.pairs import PairIndex
from shopfuse.recall.visits import Sessions

_SPARE = 8  # columns beside the wanted ones, so that the last ones are right too
_ROUNDS = 4
_LENGTH = 0.5  # of a vector


def id_start(users: Sessions, items: int, seed: int) -> NDArray[np.float32]:
    """[items, TOKEN]; zeros where an item has no neighbour. `users` are events by user in the place of the session."""
    return spectral_vectors(_neighbours(users, items), TOKEN, seed).numpy()


def spectral_vectors(matrix: Tensor, width: int, seed: int) -> Tensor:
    """The places of the rows of a symmetric sparse matrix [N, N] in `width` dimensions, of one length: [N, width]."""
    items = matrix.shape[0]
    basis = torch.randn(items, min(width + _SPARE, items), generator=torch.Generator().manual_seed(seed))
    for _ in range(_ROUNDS):
        basis = torch.linalg.qr(matrix @ basis).Q
    values, rotation = torch.linalg.eigh(basis.T @ (matrix @ basis))
    leading = (basis @ rotation)[:, -width:] * values[-width:].clamp_min(0).sqrt()
    vectors = torch.zeros(items, width)
    vectors[:, : leading.shape[1]] = normalize(leading, dim=1) * _LENGTH
    return vectors


def _neighbours(users: Sessions, items: int) -> Tensor:
    """How near two items are, by who had both and how shortly after each other: sparse [N, N]."""
    with TemporaryDirectory(prefix="shopfuse-pairs-") as folder:
        build_neighbours(Path(folder), users, items)
        build_transitions(Path(folder), users, items)
        parts = [PairIndex.open(Path(folder), name, HALF_SURE) for name in ("neighbours", "transitions")]
        owners = np.concatenate([np.repeat(np.arange(items), np.diff(part.indptr)) for part in parts])
        partners = np.concatenate([part.partner_rows for part in parts]).astype(np.int64)
        values = torch.from_numpy(np.concatenate([part.partner_scores for part in parts]))
    places = torch.from_numpy(np.stack([np.append(owners, partners), np.append(partners, owners)]))
    size = (items, items)
    return torch.sparse_coo_tensor(places, torch.cat([values, values]), size, check_invariants=True).coalesce()
