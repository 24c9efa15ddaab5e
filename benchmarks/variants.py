"""What knowing product groups is worth: a served demo shop whose products have variants, and the same without group_id.

    python benchmarks/variants.py --seeds 1,2

Both shops have the same items, events and truth; the second was never told which items are variants of one product.
Each is built, served, and asked for every topic of the truth: searches, shoppers, and items to find others like. A list
is worth what its products are: one counts where it comes first, and takes a place for nothing where it comes again.
Then other requests look for a list that shows a product twice, with Triton and without. With --keep FOLDER a run goes
on with the shops that an earlier one built there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.cli.build import build_and_publish
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import GroupOf, Topic, groups_of, load_topics, products, score_rankings
from shopfuse.evaluation.offline.release_rows import OfflineRows, Rankings, open_offline_rows
from shopfuse.evaluation.served.replay import make_scratch
from shopfuse.local.client import Client, call, connect
from shopfuse.local.requests import EVERYTHING, item_filter, recommend_request, search_request, similar_request
from shopfuse.local.stack import Stack, StackOptions, local_stack, stable_release
from shopfuse.metrics.bootstrap import bootstrap_interval
from shopfuse.ranking.filter import NO_FILTER
from shopfuse.recall.channels import search
from shopfuse.recall.vector_channels import query_like
from shopfuse.release.channels import read_channels
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.v1.recommendation_pb2 import RepeatPurchases
from shopfuse.v1.search_pb2 import FacetField, FacetSpec, SortOrder
from shopfuse_exporters.build import BuildOptions

K, PAGE, TIMEOUT_S = 10, 50, 10.0
KNOWN, FLOOD = "groups known", "groups unknown"
FUSION = "moe"  # of both: another choice would be measured with them
SCENES = ("", "campaign", "holiday")
LOOKED_AT = 6  # topics of each surface that a list with a product twice is looked for with

Topics = dict[str, list[Topic]]  # by surface; of similar items a topic's query is the id of the item
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of the answerable topics of a surface [n], and of all answers [m]."""

    ndcg: Floats  # [n] @10
    hit: Floats  # [n] whether a relevant product is among the first ten
    twice: Floats  # [m] whether a product is shown twice among the first ten
    fitting: Floats  # [v] of the relevant products with variants among the first ten: is it one that answers
    took_ms: Floats  # [m]; empty for what is not served


Table = dict[tuple[str, str], Measured]  # (surface, row)


def main() -> None:
    options = _options()
    tables: dict[str, list[Table]] = {KNOWN: [], FLOOD: []}
    with tempfile.TemporaryDirectory(prefix="shopfuse-variants-") as temporary:
        for seed in map(int, options.seeds.split(",")):
            known, flood = build_shops(Path(options.keep or temporary) / f"seed-{seed}", seed, options)
            if options.build_only:
                continue
            topics = truth(known)
            for name, shop in ((KNOWN, known), (FLOOD, flood)):
                tables[name].append(measure(shop, topics, groups_of(known.items().collect()), name))
    if not options.build_only:
        report(tables)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2", help="of the shops, separated by commas")
    parser.add_argument("--items", type=int, default=1500, help="of each shop")
    parser.add_argument("--users", type=int, default=800, help="of each shop")
    parser.add_argument("--days", type=int, default=28, help="that each shop's log goes back")
    parser.add_argument("--groups", type=float, default=0.45, help="share of the items that are variants")
    parser.add_argument("--keep", help="folder for the shops; shops that are there are not built again")
    parser.add_argument("--build-only", action="store_true", help="build the shops into --keep and measure nothing")
    return parser.parse_args()


def build_shops(folder: Path, seed: int, options: argparse.Namespace) -> tuple[Workspace, Workspace]:
    """The shop, and the same without its groups."""
    known = Workspace.open_or_create(folder / "known")
    if not known.has_items:
        items, users, days, groups = options.items, options.users, options.days, options.groups
        build_demo_shop(known, items=items, users=users, days=days, seed=seed, groups=groups)
        known.paths.reviews_table.unlink()  # no list is made of them
    _build(known, seed)
    if not (folder / "flood").exists():
        flood = make_scratch(known, folder / "flood", known.events().collect())
        write_parquet(flood.paths.items, known.items().collect().with_columns(group_id=pl.lit(None, pl.String)))
    flood = Workspace.open(folder / "flood")
    _build(flood, seed)
    return known, flood


def _build(shop: Workspace, seed: int) -> None:
    if not read_channels(shop.root).stable:
        build_and_publish(shop, BuildOptions(seed=seed, fusion=FUSION), lambda *_: None)


def truth(shop: Workspace) -> Topics:
    similar = pl.read_parquet(shop.paths.similar_truth)
    return {
        "search": load_topics(shop.paths.search_truth, "query"),
        "recommend": load_topics(shop.paths.recommend_truth, "user_id"),
        "similar": [
            Topic(str(seed), "", "", dict(zip(rows["item_id"], rows["grade"].to_list(), strict=True)))
            for (seed,), rows in similar.group_by("seed_item_id", maintain_order=True)
        ],
    }


def measure(shop: Workspace, topics: Topics, group_of: GroupOf, name: str) -> Table:
    table: Table = {}
    with local_stack(shop.root, StackOptions(log_impressions=False)) as stack, connect(stack.endpoints.grpc) as client:
        for surface, asked in topics.items():
            answers = [_ask(client, surface, topic) for topic in asked]
            lists, took = [ids for ids, _ in answers], [milliseconds for _, milliseconds in answers]
            table[surface, "served"] = _measured(asked, lists, group_of, took)
        look_for_twice(stack, client, topics, group_of, name)
    manifest = stable_release(shop.root)
    with LmdbStore.open(WorkspacePaths(shop.root).store) as store:
        rows = open_offline_rows(shop.root, manifest, store)
        beside = {
            "search": rows.search_rows(topics["search"]),
            "recommend": rows.recommend_rows(topics["recommend"]),
            "similar": similar_rows(rows, topics["similar"]),
        }
    for surface, rankings in beside.items():
        for row, lists in rankings.items():
            table[surface, row] = _measured(topics[surface], lists, group_of, ())
    return table


def similar_rows(rows: OfflineRows, topics: Sequence[Topic]) -> Rankings:
    """What is popular, item-kNN, and what is alike by its text, each alone, without the item's own product."""
    names = {"popularity": "popular", "item_knn": "co_visit", "content": "semantic"}
    rankings: Rankings = {name: [] for name in names}
    items = rows.indexes.items
    for topic in topics:
        row = items.rows([topic.query])
        own = np.append(items.groups.variants(row)[0], row)
        for name, channel in names.items():
            query, selection = query_like(rows.indexes, int(row[0])), items.select(NO_FILTER, own)
            rankings[name].append(items.item_ids(search(rows.indexes, channel, query, PAGE, selection).rows))
    return rankings


def _request(surface: str, topic: Topic, **more: Any) -> Any:
    if surface == "search":
        return search_request(topic.query, user=topic.user_id, scene=topic.scene, **{"page_size": PAGE, **more})
    if surface == "recommend":
        return recommend_request(topic.user_id, scene=topic.scene, **{"page_size": PAGE, **more})
    return similar_request(topic.query, **{"page_size": PAGE, **more})


def _method(client: Client, surface: str) -> Any:
    service = client.recommendations
    return {"search": client.searches.Search, "recommend": service.Recommend, "similar": service.RecommendSimilarItems}[
        surface
    ]


def _ask(client: Client, surface: str, topic: Topic) -> tuple[list[str], float]:
    """(the items, milliseconds of the second of two calls, whose query is embedded already)."""
    method, request = _method(client, surface), _request(surface, topic)
    call(method, request, TIMEOUT_S)
    started = time.perf_counter()
    response = call(method, request, TIMEOUT_S)
    return [item.item_id for item in response.items], (time.perf_counter() - started) * 1e3


def _measured(
    topics: Sequence[Topic], lists: Sequence[Sequence[str]], group_of: GroupOf, took_ms: Sequence[float]
) -> Measured:
    scores = score_rankings(topics, lists, group_of)
    fitting = [
        item in topic.grades
        for topic, ids in zip(topics, lists, strict=True)
        for item in ids[:K]
        if item in group_of and group_of[item] in {group_of.get(judged) for judged in topic.grades}
    ]
    twice = [float("" in products(ids[:K], group_of)) for ids in lists]
    hit = (scores.mrr >= 1.0 / K).astype(np.float64)
    return Measured(scores.ndcg, hit, np.array(twice), np.array(fitting, np.float64), np.array(took_ms, np.float64))


def look_for_twice(stack: Stack, client: Client, topics: Topics, group_of: GroupOf, name: str) -> None:
    """Prints how many lists show a product twice: of every scene, filter, order and page, with Triton, then without."""
    for state in ("with Triton", "without Triton"):
        if state == "without Triton" and stack.triton is not None:
            stack.triton.stop()
        lists = twice = degraded = 0
        for method, request in requests_of(client, topics):
            shown, more_degraded = _all_pages(method, request, group_of)
            lists, twice, degraded = lists + 1, twice + (len(set(shown)) < len(shown)), degraded + more_degraded
        print(f"{name}, {state}: {twice} of {lists} lists show a product twice; {degraded} degraded", flush=True)


def requests_of(client: Client, topics: Topics) -> Iterator[tuple[Any, Any]]:
    """Each way to ask, with each of some topics."""
    cheap, blue = item_filter((), (), (), None, 60.0), item_filter((), (), [("colour", "blue")], None, None)
    facets = [FacetSpec(field=FacetField.FACET_FIELD_BRAND), FacetSpec(field=FacetField.FACET_FIELD_PRICE)]
    filters = (cheap, blue, EVERYTHING)
    for surface in topics:
        ways: list[dict[str, Any]] = [{}, {"explain": True}, {"page_size": 7}]
        if surface != "similar":
            ways += [{"items": chosen} for chosen in filters] + [{"user": "", "page_size": 20}]
        if surface == "recommend":
            ways += [{"repeat_purchases": choice} for choice in RepeatPurchases.values()]
        for topic in topics[surface][:LOOKED_AT]:
            for scene in SCENES if surface != "similar" else ("",):
                for way in ways:
                    asked = Topic(topic.query, way.get("user", topic.user_id), scene, topic.grades)
                    more = {key: value for key, value in way.items() if key != "user"}
                    yield _method(client, surface), _request(surface, asked, **more)
            if surface == "search":
                for order in SortOrder.values():
                    request = _request(surface, topic)
                    request.sort_order, request.allow_fallback = order, True
                    request.facet_specs.extend(facets)
                    yield _method(client, surface), request


def _all_pages(method: Callable[..., Any], request: Any, group_of: GroupOf) -> tuple[list[str], bool]:
    """(the products of all pages, whether an answer was degraded). A variant that is told beside its product is none of
    them, and must be of that product."""
    shown: list[str] = []
    degraded = False
    while True:
        response = call(method, request, TIMEOUT_S)
        degraded |= response.degraded
        for item in response.items:
            product = group_of.get(item.item_id, item.item_id)
            strangers = [one.item_id for one in item.variants if group_of.get(one.item_id) != product]
            assert not strangers, f"{item.item_id} with the variants {strangers}"
            shown.append(product)
        if not response.next_page_token:
            return shown, degraded
        request.page_token = response.next_page_token


def report(tables: dict[str, list[Table]]) -> None:
    """NDCG@10 and hit rate of the first ten, over all seeds; the lead of the shop that knows its groups is paired."""
    keys = list(tables[KNOWN][0])
    for surface, row in keys:
        one, other = (
            [table[surface, row] for table in tables[name] if (surface, row) in table] for name in (KNOWN, FLOOD)
        )
        ndcg, flood = (np.concatenate([part.ndcg for part in parts]) for parts in (one, other))
        lead = bootstrap_interval(ndcg - flood)
        print(
            f"{surface:>9} {row:<10} NDCG@10 {_interval(ndcg)}, unknown {_interval(flood)}, "
            f"lead {lead[0]:+.3f}..{lead[1]:+.3f}; HR@10 {_means(one, other, 'hit')}; "
            f"a product twice {_means(one, other, 'twice')}; the variant answers {_means(one, other, 'fitting')}"
        )
    for surface in dict.fromkeys(surface for surface, _ in keys):
        for name in (KNOWN, FLOOD):
            took = np.concatenate([table[surface, "served"].took_ms for table in tables[name]])
            p50, p99 = np.percentile(took, [50, 99])
            print(f"{surface:>9} {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(took)} answers of up to {PAGE} items")


def _interval(values: Floats) -> str:
    low, high = bootstrap_interval(values)
    return f"{values.mean():.3f} ({low:.3f}..{high:.3f})"


def _means(one: Sequence[Measured], other: Sequence[Measured], name: str) -> str:
    values = (np.concatenate([getattr(part, name) for part in parts]) for parts in (one, other))
    return ", ".join(f"{part.mean():.3f}" if len(part) else "-" for part in values)


if __name__ == "__main__":
    main()
