"""The completions of a release: from its catalogue, and from the searches that enough users went on from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from shopfuse.recall.completion.entries import CompletionEntries, Searched
from shopfuse.recall.completion.folding import folded_key
from shopfuse.recall.completion.index import write_completions
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.knowledge import SPELLING
from shopfuse.recall.words.spelling import Spelling
from shopfuse.release.layout import ReleaseLayout
from shopfuse.training.data.catalogue import catalogue_items
from shopfuse.training.data.first_day import popular_scores
from shopfuse.training.data.led_searches import LedSearches
from shopfuse_exporters.models.shop import Shop


def build_completions(layout: ReleaseLayout, shop: Shop, min_users: int) -> None:
    """Writes the index beside the others of `layout`, whose words it takes: those come first."""
    catalogue = shop.catalogue
    popular = popular_scores(shop.item_rows["popularity"], shop.known, catalogue)
    entries = CompletionEntries(catalogue.language)
    for item, popularity in zip(catalogue_items(catalogue.frame), popular.tolist(), strict=True):
        entries.add(item, popularity)
    searched = shared_searches(shop.log.led, min_users)
    found = entries.entries(searched, shop.log.users, Spelling.open(layout.lexical / SPELLING))
    write_completions(layout.completion, found, Analyser(catalogue.language).stem)


def shared_searches(led: LedSearches, min_users: int) -> Iterator[Searched]:
    """The searches that at least `min_users` different users went on from, those that fold to the same together."""
    keys = [folded_key(query) for query in led.query]
    order = sorted(range(len(keys)), key=lambda place: (keys[place], led.query[place]))
    for key, group in groupby(order, key=lambda place: keys[place]):
        places = list(group)
        users = {int(led.user[place]) for place in places}
        if key and len(users) >= min_users:
            spellings = [led.query[place] for place in places]
            yield Searched(max(spellings, key=spellings.count), len(users), led.row[places])
