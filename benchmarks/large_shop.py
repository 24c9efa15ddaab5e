"""What a large shop costs: draws a catalogue and an event log, imports and builds them, and prints times and memory.

    python benchmarks/large_shop.py --items 1000000 --users 500000 --events 10000000
    python benchmarks/large_shop.py --items 2000 --users 1000 --events 20000    # small, to see that it works

Users look mostly into a few categories of their own, where a few items lead (Zipf), and come back to what they had.
VARIANTS items share a title, as sizes and colours do, so that the text encoder reads a part of the catalogue; there are
no photos. Memory is the largest sum over the processes of a command, memory-mapped files among it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray

VARIANTS = 20
ITEMS_OF_CATEGORY = 500
FAVOURITES = 4  # categories of a user
STAYS, COMES_BACK = 0.85, 0.2  # shares of events in a favourite category, and on an item that the user had
ZIPF = 1.1
DAYS, VISIT_EVENTS = 90, 5.0
KINDS, SHARES = ("view_item", "add_to_cart", "purchase"), (0.7, 0.15, 0.15)
ADJECTIVES = ("warm", "light", "small", "strong", "quiet", "folding", "bright", "soft")
NOUNS = ("lamp", "jacket", "kettle", "drill", "tent", "pan", "scarf", "chair", "mouse", "bottle")
LAST_DAY_S = 1_767_225_600.0  # 2026-01-01
POLL_S = 0.5
CATALOG_MAPPING = """[item]
id = "sku"
title = "title"
brand = "brand"
category = { field = "category", separator = ">" }
price = "price"
attributes = ["variant"]
"""
EVENTS_MAPPING = """[event]
event_name = "kind"
timestamp = { field = "time", format = "s" }
user_id = "user"
session_id = "session"
item_id = "sku"
"""


def main() -> None:
    options = _options()
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="shopfuse-large-", dir=options.folder) as temporary:
        folder = Path(temporary)
        (folder / "catalog.toml").write_text(CATALOG_MAPPING)
        (folder / "events.toml").write_text(EVENTS_MAPPING)
        catalogue(options.items).write_parquet(folder / "catalog.parquet")
        events(random, options.items, options.users, options.events).write_parquet(folder / "events.parquet")
        shop = ["-w", str(folder / "shop")]
        for table in ("catalog", "events"):
            files = [str(folder / f"{table}.parquet"), "-m", str(folder / f"{table}.toml")]
            report(f"import {table}", ["import", table, *files, *shop])
        report("build", ["build", *shop])
        written = sum(path.stat().st_size for path in (folder / "shop" / "releases").rglob("*") if path.is_file())
        print(f"the release holds {written / 1e9:.2f} GB", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("items", 1_000_000), ("users", 500_000), ("events", 10_000_000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", help="where the shop lies while it is measured; default: the system's own")
    return parser.parse_args()


def report(name: str, arguments: list[str]) -> None:
    """Runs a command of shopfuse and prints what it took. Ends with its exit status where it fails."""
    started, peak = time.monotonic(), 0
    process = psutil.Popen([sys.executable, "-m", "shopfuse", *arguments], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, memory_of(process))
        time.sleep(POLL_S)
    if process.returncode:
        sys.exit(process.returncode)
    print(f"{name}: {time.monotonic() - started:.0f} s, at most {peak / 1e9:.2f} GB", flush=True)


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it; those that just ended count nothing."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def catalogue(items: int) -> pl.DataFrame:
    product, category = np.arange(items) // VARIANTS, np.arange(items) // ITEMS_OF_CATEGORY
    titles = [f"{_of(ADJECTIVES, n)} {_of(ADJECTIVES, n // 8 + 5)} {_of(NOUNS, n // 64)} {n}" for n in product]
    return pl.DataFrame(
        {
            "sku": _names("sku", np.arange(items)),
            "title": titles,
            "brand": _names("Brand", category // 3 + product % 7),
            "category": [f"Department {n // 20}>{_of(NOUNS, n)} {n}" for n in category],
            "price": np.exp(1.0 + 3.0 * np.modf(category * 0.61803)[0] + 0.3 * np.modf(product * 0.41421)[0]).round(2),
            "variant": [f"size {n % VARIANTS}" for n in range(items)],
        }
    )


def events(random: np.random.Generator, items: int, users: int, count: int) -> pl.DataFrame:
    """A log by time. A few users have many events: sizes are lognormal."""
    share = random.lognormal(0.0, 1.0, users)
    user = np.sort(random.choice(users, count, p=share / share.sum()))
    item = _items_of(random, user, items, users)
    place = _place_in_run(user)
    back = (random.random(count) < COMES_BACK) & (place > 0)
    earlier = np.arange(count) - 1 - (random.random(count) * place).astype(np.int64)
    item[back] = item[earlier[back]]
    visit = np.cumsum((place == 0) | (random.random(count) < 1.0 / VISIT_EVENTS))
    at = LAST_DAY_S - DAYS * 86400.0 * random.random(visit[-1] + 1)[visit] + 45.0 * _place_in_run(visit)
    log = pl.DataFrame(
        {
            "kind": np.array(KINDS)[random.choice(len(KINDS), count, p=SHARES)],
            "time": at.round().astype(np.int64),
            "user": _names("user", user),
            "session": _names("visit", visit),
            "sku": _names("sku", item),
        }
    )
    return log.sort("time", maintain_order=True)


def _items_of(random: np.random.Generator, user: NDArray[np.int64], items: int, users: int) -> NDArray[np.int64]:
    """The item of each event, before users come back: the category first, then the place in it."""
    categories = -(-items // ITEMS_OF_CATEGORY)
    favourites = random.integers(0, categories, (users, FAVOURITES))
    own = favourites[user, random.integers(0, FAVOURITES, len(user))]
    category = np.where(random.random(len(user)) < STAYS, own, random.integers(0, categories, len(user)))
    sizes = np.minimum(ITEMS_OF_CATEGORY, items - category * ITEMS_OF_CATEGORY)
    leading = 1.0 / np.arange(1, ITEMS_OF_CATEGORY + 1) ** ZIPF
    place = random.choice(ITEMS_OF_CATEGORY, len(user), p=leading / leading.sum())
    mixed = (place * 7919 + category) % sizes  # the leading items of a category lie anywhere in it
    spots: NDArray[np.int64] = category * ITEMS_OF_CATEGORY + mixed
    return spots


def _place_in_run(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... within each run of equal values."""
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    starts = np.flatnonzero(new)
    places: NDArray[np.int64] = np.arange(len(values)) - starts[np.cumsum(new) - 1]
    return places


def _names(kind: str, numbers: NDArray[np.int64]) -> pl.Series:
    return pl.select(pl.format("{}-{}", pl.lit(kind), pl.Series(numbers))).to_series()


def _of(words: tuple[str, ...], number: int) -> str:
    return words[number % len(words)]


if __name__ == "__main__":
    main()
