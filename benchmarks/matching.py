"""What it takes to know all matches of a query: to list them, count them, count facets and sort them.

    python benchmarks/matching.py --items 150000              # every item a product
    python benchmarks/matching.py --items 150000 --variants 5 # in product groups of five

Draws a catalogue whose words are as unevenly frequent as words are. Times are medians of the thread's processor time,
in milliseconds: on a busy machine the clock tells of others. `tantivy` lists what holds any of the words, ranked.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.contents import Items
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.matching.facet_counts import FacetSpec, count_facets
from shopfuse.recall.matching.facet_values import FacetValues, build_facet_values
from shopfuse.recall.matching.word_rows import WordRows, build_word_rows

COLOURS = ("red", "blue", "green", "black", "white")
QUERIES = ("noun250", "noun20 red", "noun3", "noun0")  # from rare to frequent
FILTERS = (ItemFilter(), ItemFilter(brands=("Brand 1",), attributes=(("colour", ("red",)),)))
SPECS = (
    FacetSpec("brand"),
    FacetSpec("category"),
    FacetSpec("attribute", "colour"),
    FacetSpec("attribute", "size"),
    FacetSpec("price"),
)
ROUNDS = 15
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=150_000)
    parser.add_argument("--variants", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.items, options.variants)


def measure(folder: Path, items: int, variants: int) -> None:
    build_item_table(folder, catalogue(items, variants))
    build_lexical(folder / "lexical", Items(lambda: catalogue(items, variants)))
    table, index = ItemTable.open(folder), LexicalIndex.open(folder / "lexical")
    started = time.process_time()
    build_word_rows(folder, index)
    build_facet_values(folder, catalogue(items, variants), table.groups)
    print(f"{items} items: the tables take {time.process_time() - started:.0f} s to build")
    words, values = WordRows.open(folder, items), FacetValues.open(folder)
    print("query       filter  rows     products  list    tantivy  count   5 facets")
    for query in QUERIES:
        read = index.read(query).words
        rows, listed = timed(lambda read=read: words.matching(read).rows)
        _, ranked = timed(lambda query=query: index.search(query, items), 3)
        for item_filter in FILTERS:
            mask = table.select(item_filter).mask  # type: ignore[union-attr]  # some item cannot be bought
            count, counted = timed(lambda rows=rows, mask=mask: table.groups.count(rows[mask[rows]]))
            arguments = (values, table, SPECS, rows, item_filter, table.select)
            _, facets = timed(lambda arguments=arguments: count_facets(*arguments))
            some = "yes" if item_filter.brands else "no"
            print(
                f"{query:11} {some:7} {len(rows):8} {count:8} {listed:7.2f} {ranked:8.2f} {counted:7.2f} {facets:8.2f}"
            )


def timed(work: Callable[[], T], rounds: int = ROUNDS) -> tuple[T, float]:
    """What the work gives, and the median of its milliseconds."""
    times, result = [], work()
    for _ in range(rounds):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return result, float(np.median(times)) * 1000


def catalogue(items: int, variants: int) -> Iterator[CatalogueItem]:
    random = np.random.default_rng(0)
    nouns = np.minimum((random.pareto(1.0, items) * 3).astype(int), 299)
    adjectives, brands, colours, sizes = (random.integers(0, most, items) for most in (2000, 500, 5, 20))
    prices = random.lognormal(3, 1, items)
    for row in range(items):
        product = row // variants * variants
        noun, adjective = nouns[product], adjectives[product]
        colour, size = COLOURS[colours[row]], str(30 + sizes[row])
        yield CatalogueItem(
            f"{row:08d}",
            f"adj{adjective} noun{noun} {colour} {size}",
            brand=f"Brand {brands[product]}",
            category=(f"Department {noun % 10}", f"Category {noun}"),
            price=float(prices[row]),
            attributes=(("colour", colour), ("size", size), ("material", f"material {adjective % 40}")),
            available=bool(row % 20),
            group_id=f"product {product}" if variants > 1 else None,
        )


if __name__ == "__main__":
    main()
