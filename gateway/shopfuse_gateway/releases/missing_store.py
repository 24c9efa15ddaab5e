"""The store of a gateway that could not open one: every read fails, so that every answer says it is degraded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.user_state import UserState
from shopfuse.state.store import Display, StoreError


class MissingStore:
    def __init__(self, problem: str) -> None:
        self._problem = problem

    def users(self, user_ids: Sequence[str]) -> list[UserState]:
        raise StoreError(self._problem)

    def items(self, item_ids: Sequence[bytes]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        raise StoreError(self._problem)

    def display(self, item_ids: Sequence[bytes]) -> list[Display | None]:
        raise StoreError(self._problem)
