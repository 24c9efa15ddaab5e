"""What a user bought and should not be recommended again: as the request says, else the category, else the shop.

Held to in recall, so that the channel `again` brings only what may be shown, and once more by the policy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import RECOMMEND
from shopfuse.ranking.features import History
from shopfuse.ranking.repeat_purchases import AUTO, kept_away
from shopfuse.ranking.repeats import Memory
from shopfuse.recall.again import AGAIN_INDEX
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.releases.engine import Engine


def bought_enough(engine: Engine, call: Call, rows: NDArray[np.int32], memory: Memory) -> NDArray[np.bool_]:
    """Which of the items `rows` [n] stay away, by what is remembered of them. A search finds them all."""
    request, release = call.request, engine.release
    if request.surface != RECOMMEND:
        return np.zeros(len(rows), np.bool_)
    said = request.repeat_purchases
    choice = release.repeat_purchases[rows] if said == AUTO else np.full(len(rows), said, np.int8)
    again = release.indexes[AGAIN_INDEX]
    repeats = memory.of(rows)
    return kept_away(choice, repeats, again.category_rates[rows], again.intervals_s[rows], request.context.at)


def wanted_again(engine: Engine, call: Call, history: History) -> History:
    """The history with a memory of only what may come back."""
    memory = history.memory
    away = bought_enough(engine, call, memory.rows, memory)
    return replace(history, memory=memory.take(~away)) if away.any() else history
