"""What the gateway reads of users and items, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.user_state import UserState


class StoreError(ShopfuseError):
    """A store that cannot be opened, read or written; the message names it."""


@dataclass(frozen=True, slots=True)
class Display:
    """What a caller shows of an item."""

    title: str
    price: float | None = None
    currency: str | None = None
    image_uri: str | None = None
    brand: str | None = None
    category: tuple[str, ...] = ()
    group_id: str | None = None


class FeatureStore(Protocol):
    def users(self, user_ids: Sequence[str]) -> list[UserState]:
        """One state for each id, UNKNOWN_USER where the store has none."""

    def items(self, item_ids: Sequence[bytes]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """(ITEM_ROW [n], present [n]); missing_item_row() where the store has none or a damaged one."""

    def display(self, item_ids: Sequence[bytes]) -> list[Display | None]: ...


class MissingStore:
    """In the place of a store that could not be opened: every read fails, so that every answer says it is degraded."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def users(self, user_ids: Sequence[str]) -> list[UserState]:
        raise StoreError(self._problem)

    def items(self, item_ids: Sequence[bytes]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        raise StoreError(self._problem)

    def display(self, item_ids: Sequence[bytes]) -> list[Display | None]:
        raise StoreError(self._problem)
