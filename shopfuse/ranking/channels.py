"""Recall channels: the names, the order of their columns, and what their raw scores are.

`coverage`, `brand` and `category` find nothing by themselves: they are further scores of what the others found. One
tuple fixes the column order of every `channel_scores` tensor, in logs, in training and in serving.
"""

from __future__ import annotations

CHANNEL_MEANING = {
    "lexical": "BM25 of the query in the item's text",
    "coverage": "share of the query's words that the item holds, rare ones counting more, or its category's score",
    "brand": "1 for the items of a brand that the query names, else 0; no score where it names none",
    "category": "how sure it is that the query means the item's category, 0..1; no score in a shop without categories",
    "semantic": "cosine of the query's and the item's text embeddings",
    "visual": "cosine of the query picture's (or, for similar items, the item's own) and the item's image embeddings",
    "behaviour": "cosine of the user's (or, in a search, the query's) and the item's vectors in the behaviour space",
    "co_visit": "how often the item shares a session with the items of the history, 0..1",
    "popular": "log share of recent engagement, 0..1",
}
CHANNELS = tuple(CHANNEL_MEANING)
CHANNEL_COLUMN = {name: column for column, name in enumerate(CHANNELS)}
