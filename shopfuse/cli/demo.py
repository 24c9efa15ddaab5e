"""`shopfuse demo`: a whole shop from nothing, served for real, asked a few questions, and stopped again."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from shopfuse.cli.ask import print_answer
from shopfuse.cli.build import build_and_publish, print_summary
from shopfuse.cli.classify import print_classified
from shopfuse.cli.console import out, progress_bars
from shopfuse.cli.serve import wait_for_end
from shopfuse.core.progress import Progress
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call, connect
from shopfuse.local.requests import rank_request, recommend_request, search_request, similar_request
from shopfuse.local.stack import local_stack, stable_release
from shopfuse.release.channels import read_channels
from shopfuse.v1.text_pb2 import ClassifyTextRequest
from shopfuse_exporters.build import BuildOptions

TIMEOUT_S = 5.0
QUESTIONS, PAGE = 3, 5
TEXTS = ["waterproof hiking boots", "Broke after a week, I want my money back."]

FolderOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder of the demo shop.", file_okay=False)]
ItemsOption = Annotated[int, typer.Option(min=50, max=1_000_000, help="Products.")]
UsersOption = Annotated[int, typer.Option(min=20, help="Users.")]
DaysOption = Annotated[int, typer.Option(min=5, max=365, help="Days of events.")]
GroupsOption = Annotated[
    float,
    typer.Option(min=0.0, max=0.9, help="Share of the items that are variants of a product: its colours and sizes."),
]
SeedOption = Annotated[int, typer.Option(help="Seed of the shop and of training.")]
StayOption = Annotated[bool, typer.Option("--stay", help="Keep serving until Ctrl-C.")]


def yesterday() -> date:
    """The shop's last day: what is served today follows on it, as in a shop that lives."""
    return datetime.now(UTC).date() - timedelta(days=1)


def ensure_shop(
    folder: Path, items: int, users: int, days: int, seed: int, groups: float, progress: Progress
) -> Workspace:
    """The demo shop with a release; what an earlier run has finished is not done again."""
    shop = Workspace.open_or_create(folder)
    if not shop.has_items:
        build_demo_shop(
            shop,
            items=items,
            users=users,
            days=days,
            seed=seed,
            groups=groups,
            last_day=yesterday(),
            progress=progress,
        )
    if not read_channels(shop.root).stable:
        build_and_publish(shop, BuildOptions(seed=seed), progress)
    return shop


def topics(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The first things that the simulator's truth asks for, each once."""
    return pl.read_parquet(path).select(columns).unique(maintain_order=True).fill_null("").head(QUESTIONS).rows()


def ask_everything(shop: Workspace, client: Client) -> None:
    """Searches by words and by image, recommendations, similar items and a rank call, each with reasons and the time
    of every stage; and what two texts are about."""
    for query, user in topics(shop.paths.search_truth, ("query", "user_id")):
        search = search_request(query, user=user, page_size=PAGE, explain=True)
        print_answer(f'search "{query}" for {user}', client.searches.Search, search, TIMEOUT_S, False)
    service = client.recommendations
    for user, scene in topics(shop.paths.recommend_truth, ("user_id", "scene")):
        recommend = recommend_request(user, scene=scene, page_size=PAGE, explain=True)
        print_answer(f"recommend for {user}", service.Recommend, recommend, TIMEOUT_S, False)
    ids = shop.items().select("item_id").collect()["item_id"].to_list()
    similar = similar_request(ids[0], page_size=PAGE, explain=True)
    print_answer(f"similar to {ids[0]}", service.RecommendSimilarItems, similar, TIMEOUT_S, False)
    rank = rank_request(ids[:8], user=user, explain=True)
    print_answer(f"rank 8 items for {user}", service.RankItems, rank, TIMEOUT_S, False)
    first = shop.images().select("item_id", "image").head(1).collect().row(0, named=True)
    by_image = search_request(image=first["image"], page_size=PAGE, explain=True)
    print_answer(f"search with the image of {first['item_id']}", client.searches.Search, by_image, TIMEOUT_S, False)
    print_classified(TEXTS, call(client.texts.ClassifyText, ClassifyTextRequest(texts=TEXTS), TIMEOUT_S))


def demo(
    workspace: FolderOption = Path("demo"),
    items: ItemsOption = 3000,
    users: UsersOption = 1500,
    days: DaysOption = 28,
    seed: SeedOption = 0,
    groups: GroupsOption = 0.0,
    stay: StayOption = False,
) -> None:
    """Simulate a shop, train, export and serve it, ask it, and stop.

    A second run uses the shop and the release of the first. With --stay it keeps serving.
    """
    started = time.monotonic()
    with progress_bars() as progress:
        shop = ensure_shop(workspace, items, users, days, seed, groups, progress)
        manifest = stable_release(shop.root)
        with local_stack(shop.root, progress=progress) as stack:
            print_summary(manifest)
            with connect(stack.endpoints.grpc) as client:
                ask_everything(shop, client)
            out.print(f"the demo took {time.monotonic() - started:.0f} s")
            if stay:
                wait_for_end(stack)
