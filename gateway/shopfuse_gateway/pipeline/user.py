"""Stage "features": what the shop remembers of the user, beside the items it speaks of."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import NO_HISTORY, History, context_features
from shopfuse.ranking.history import history_tensors
from shopfuse.recall.user_history import user_history
from shopfuse.state.store import StoreError
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.releases.engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class User:
    history: History

    @property
    def is_known(self) -> bool:
        """True where the history holds an item of the served release."""
        return bool((self.history.rows >= 0).any())


NO_USER = User(NO_HISTORY)


def read_user(engine: Engine, call: Call) -> User:
    """The user's history before the request's time; empty for a stranger or where the store fails (degraded)."""
    if not call.request.user_id:
        return NO_USER
    try:
        return User(_history(engine, call))
    except StoreError as error:
        log.warning("%s", error)
        call.trace.degrade("features", "STORE_UNAVAILABLE")
        return NO_USER


def _history(engine: Engine, call: Call) -> History:
    at = call.request.context.at
    user = engine.store.users([call.request.user_id])[0].before(at)
    engine.metrics.user_reads.inc()
    if user.present:
        engine.metrics.user_event_age.observe(at - float(user.entries["at"][-1]))
    else:
        engine.metrics.feature_missing.labels("user").inc()
    return user_history(user, engine.release.indexes.items, engine.store.items, at)


def user_tensors(engine: Engine, call: Call, user: User) -> dict[str, NDArray[np.generic]]:
    """What the user tower and the ranker are told of the history, all masked for a stranger, and of the context."""
    context = call.request.context
    tensors = history_tensors(user.history, engine.release.item_vectors, context.at)
    length = int(tensors["history_mask"].sum())  # without items that the release does not know, as in training
    return {**tensors, "context": context_features(context, length, engine.release.manifest.scenes)}
