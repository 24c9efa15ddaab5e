"""The same searches through two served shops, in turn: what a change of the program costs a search.

    python benchmarks/side_by_side.py BEFORE/run/endpoints.json AFTER/run/endpoints.json demo/truth/search.parquet

Serve the one with the program as it was and the other as it is. Each query is asked twice, so that its encoding is
remembered, and the second time counts; in what order the shops are asked is drawn anew for each.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from statistics import median, quantiles

import polars as pl

from shopfuse.local.client import connect
from shopfuse.v1.search_pb2 import SearchRequest

TIMEOUT_S = 5.0
USERS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("queries", type=Path, help="Parquet with a column `query`")
    parser.add_argument("--rounds", type=int, default=4, help="the first is not counted")
    options = parser.parse_args()
    queries = pl.read_parquet(options.queries)["query"].unique(maintain_order=True).to_list()
    addresses = {name: json.loads(getattr(options, name).read_text())["grpc"] for name in ("before", "after")}
    took_ms: dict[str, list[float]] = {name: [] for name in addresses}
    with connect(addresses["before"]) as before, connect(addresses["after"]) as after:
        clients = {"before": before, "after": after}
        for turn in range(options.rounds):
            for query in queries:
                request = SearchRequest(query=query, user_id=f"user-{random.randrange(USERS):06d}")
                for name in random.sample(list(clients), len(clients)):
                    clients[name].searches.Search(request, timeout=TIMEOUT_S)
                    began = time.perf_counter()
                    clients[name].searches.Search(request, timeout=TIMEOUT_S)
                    if turn:
                        took_ms[name].append((time.perf_counter() - began) * 1e3)
    for name, times in took_ms.items():
        share = median(times) / median(took_ms["before"])
        slow = quantiles(times, n=10)[-1]
        print(f"{name:>6}: p50 {median(times):.2f} ms, x {share:.3f}; p90 {slow:.2f} ms; {len(times)} searches")


if __name__ == "__main__":
    main()
