"""The table of recall channels: what each one's raw score is, which surfaces it feeds, and what it counts for.

A row and the index file that it names are all there is to a channel: recall, training, the report and the ranker's
tensors follow. The order of the rows is that of the columns of every `channel_scores` tensor, in logs, in training and
in serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Surface = Literal["search", "recommend", "similar", "rank"]
SEARCH: Surface = "search"
RECOMMEND: Surface = "recommend"
SIMILAR: Surface = "similar"
RANK: Surface = "rank"  # the caller brings the candidates: no channel feeds it

Normalisation = Literal["max", "min_max", "absolute"]


@dataclass(frozen=True, slots=True)
class Channel:
    """`max`: a score counts as its share of the best candidate's; `min_max`: 0 for the worst candidate, 1 for the best;
    `absolute`: as it is, clipped to 0..1."""

    name: str
    meaning: str
    reader: str  # "module:NAME" of the RecallChannel in its index file, which is opened with the release
    modality: str  # for which its contribution is counted
    normalisation: Normalisation
    feeds: tuple[Surface, ...] = ()  # surfaces that it finds candidates for; without any it scores what others found
    stands_in: bool = False  # it also feeds a surface where the query has no behaviour vector
    search_weight: float = 0.0  # in the fusions, unless judgments chose another
    recommend_weight: float = 0.0
    similar_weight: float = 0.0
    temperature: float = 0.1  # of the method softmax
    orders: bool = False  # its small scores differ by orders of magnitude: learned rankers read the logarithm

    @property
    def finds(self) -> bool:
        return bool(self.feeds) or self.stands_in


# An image, which only a search by image has, counts as much as all that words can say: the text channels' sum.
# Among similar items, what is popular counts as much as what users had together, and some more than what is alike.
TABLE = (
    Channel(
        "lexical",
        "BM25 of the query in the item's text",
        "shopfuse.recall.word_channels:LEXICAL",
        modality="text",
        normalisation="max",
        feeds=(SEARCH,),
        search_weight=1.0,
    ),
    Channel(
        "coverage",
        "share of the query's words that the item holds, rare ones counting more, or its category's score",
        "shopfuse.recall.word_channels:COVERAGE",
        modality="text",
        normalisation="absolute",
        search_weight=1.0,
    ),
    Channel(
        "brand",
        "1 for the items of a brand that the query names, else 0; no score where it names none",
        "shopfuse.recall.word_channels:BRAND",
        modality="text",
        normalisation="absolute",
        search_weight=1.0,
    ),
    Channel(
        "identifier",
        "how surely the query names the item by a number of it, 1 for the whole number; no score where it names none",
        "shopfuse.recall.facts.identifiers:IDENTIFIER",
        modality="text",
        normalisation="absolute",
        feeds=(SEARCH,),
        search_weight=1.0,
    ),
    Channel(
        "quantity",
        "1 where the title agrees with the query's quantities, 0 where it contradicts one; no score where it says none",
        "shopfuse.recall.facts.quantities:QUANTITY",
        modality="text",
        normalisation="absolute",
    ),
    Channel(
        "name",
        "share of what the item is called that the query says; 0 for an item that lacks a word of the query",
        "shopfuse.recall.facts.titles:NAME",
        modality="text",
        normalisation="absolute",
        search_weight=1.0,
    ),
    Channel(
        "category",
        "how sure it is that the query means the item's category, 0..1; no score in a shop without categories",
        "shopfuse.recall.categories:CATEGORY",
        modality="text",
        normalisation="absolute",
        search_weight=1.0,
    ),
    Channel(
        "semantic",
        "cosine of the query's and the item's text embeddings",
        "shopfuse.recall.vector_channels:SEMANTIC",
        modality="text",
        normalisation="max",
        feeds=(SEARCH, SIMILAR),
        search_weight=2.0,
        similar_weight=0.2,
    ),
    Channel(
        "visual",
        "cosine of the query image's (or, for similar items, the item's own) and the item's image embeddings",
        "shopfuse.recall.vector_channels:VISUAL",
        modality="image",
        normalisation="min_max",
        feeds=(SEARCH, SIMILAR),
        search_weight=8.0,
        recommend_weight=0.5,
        similar_weight=0.2,
    ),
    Channel(
        "behaviour",
        "cosine of the user's (or, in a search, the query's) and the item's vectors in the behaviour space",
        "shopfuse.recall.vector_channels:BEHAVIOUR",
        modality="behaviour",
        normalisation="min_max",
        feeds=(SEARCH, RECOMMEND, SIMILAR),
        recommend_weight=1.0,
        similar_weight=0.2,
    ),
    Channel(
        "again",
        "how often and how lately the user had the item, and how many come back to it; 0 where they never had it",
        "shopfuse.recall.again:AGAIN",
        modality="behaviour",
        normalisation="max",
        feeds=(RECOMMEND,),
        recommend_weight=1.0,
        orders=True,
    ),
    Channel(
        "co_visit",
        "how much the item shares sessions with the items of the history, 0..1",
        "shopfuse.recall.co_visit:CO_VISIT",
        modality="behaviour",
        normalisation="absolute",
        feeds=(RECOMMEND, SIMILAR),
        search_weight=0.1,
        recommend_weight=1.0,
        similar_weight=0.25,
        orders=True,
    ),
    Channel(
        "neighbours",
        "how much the same users had the item and those of the history, newer ones counting more, 0..1",
        "shopfuse.recall.neighbours:HAD_TOGETHER",
        modality="behaviour",
        normalisation="absolute",
        feeds=(RECOMMEND, SIMILAR),
        recommend_weight=1.0,
        similar_weight=0.25,
        orders=True,
    ),
    Channel(
        "transitions",
        "how much users came to the item right after those of the history, newer ones counting more, 0..1",
        "shopfuse.recall.neighbours:TRANSITIONS",
        modality="behaviour",
        normalisation="absolute",
        feeds=(RECOMMEND, SIMILAR),
        recommend_weight=1.0,
        similar_weight=0.25,
        orders=True,
    ),
    Channel(
        "popular",
        "log share of recent engagement, 0..1; below it, items without any in the order of a first day",
        "shopfuse.recall.popular:POPULAR",
        modality="behaviour",
        normalisation="absolute",
        feeds=(RECOMMEND, SIMILAR),
        stands_in=True,
        search_weight=0.05,
        recommend_weight=0.4,
        similar_weight=1.0,
    ),
)
CHANNELS = tuple(channel.name for channel in TABLE)
CHANNEL_COLUMN = {name: column for column, name in enumerate(CHANNELS)}
