"""How near an item must be to a query in meaning, before it answers a query whose words it does not hold.

Every query is near something: an encoder gives letters thrown at the keyboard a direction, too. How near what the shop
does not sell comes to its items depends on the encoder and on the catalogue, so a build measures it: by words of the
shop's language that no item holds, and by thrown letters. What a query means is believed where it is nearer than all
but TOO_NEAR of the strangers of each kind. A code of an article means nothing to an encoder: only its letters count.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.recall.words.known_words import frequent_words
from shopfuse.recall.words.query_reading import NOTHING_READ, ReadQuery

Floats = NDArray[np.float32]

NO_FLOOR = -1.0  # of a cosine
STRANGERS = 200  # of each kind
FREQUENT = 20_000  # words of the language that strangers are drawn from
TOO_NEAR = 0.05
FOREIGN, THROWN = "words that no item holds", "thrown letters"
KINDS = (FOREIGN, THROWN)  # of strangers; without any there is no floor
AT_ONCE = 65_536  # items
LEXICAL, SEMANTIC, IDENTIFIER = (CHANNEL_COLUMN[name] for name in ("lexical", "semantic", "identifier"))


def meaning_floor(indexes: RecallIndexes, encode: Callable[[Sequence[str]], Floats]) -> float:
    """The cosine, measured with the encoder whose vectors the indexes hold; NO_FLOOR for a shop without items."""
    if len(indexes.items) == 0:
        return NO_FLOOR
    vectors = indexes[TEXT_INDEX].vectors
    nearest = (_nearest(encode(kind), vectors) for kind in _strangers(indexes))
    return max((float(np.quantile(cosines, 1.0 - TOO_NEAR)) for cosines in nearest), default=NO_FLOOR)


def unrelated(
    scores: Floats, mask: Floats, floor: float, read: ReadQuery = NOTHING_READ, words_alone: bool = False
) -> NDArray[np.bool_]:
    """Which candidates hold no word and no number of the query, as it was `read`, and are not near it in meaning, given
    the channels' scores and mask [c, K]. None where either channel does not apply: then nothing is known of them.
    `words_alone`: in this shop nothing is ever near in meaning."""
    applies = (mask[:, LEXICAL] > 0) & ((mask[:, SEMANTIC] > 0) | words_alone)
    far: NDArray[np.bool_] = scores[:, SEMANTIC] < (np.inf if read.is_code or words_alone else floor)
    named = (mask[:, IDENTIFIER] > 0) & (scores[:, IDENTIFIER] > 0)
    far &= applies & (scores[:, LEXICAL] <= 0) & ~named
    return far


def _strangers(indexes: RecallIndexes) -> Iterator[list[str]]:
    """Queries that no shop answers, by kind; the same for the same catalogue."""
    words, draw = indexes[LEXICAL_INDEX], np.random.default_rng(0)
    foreign = [word for word in frequent_words(words.analyser.language, FREQUENT) if not words.holds(word)]
    letters = list(string.ascii_lowercase)
    if foreign and FOREIGN in KINDS:
        yield draw.choice(foreign, min(STRANGERS, len(foreign)), replace=False).tolist()
    if THROWN in KINDS:
        yield ["".join(draw.choice(letters, draw.integers(5, 13))) for _ in range(STRANGERS)]


def _nearest(queries: Floats, vectors: NDArray[np.float16]) -> Floats:
    """The cosine of each query's nearest item, [n]."""
    nearest = np.full(len(queries), NO_FLOOR, np.float32)
    for start in range(0, len(vectors), AT_ONCE):
        part = vectors[start : start + AT_ONCE].astype(np.float32)
        np.maximum(nearest, (queries @ part.T).max(1), out=nearest)
    return nearest
