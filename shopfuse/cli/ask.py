"""`shopfuse search|recommend|similar|rank|complete`: one request to a served workspace, answered as a
table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.local.client import call, connect, document, timed_call
from shopfuse.local.endpoints import gateway_address
from shopfuse.local.requests import (
    item_filter,
    rank_request,
    read_image,
    recommend_request,
    search_request,
    similar_request,
)
from shopfuse.v1.completion_pb2 import CompleteQueryRequest, CompletionKind
from shopfuse.v1.item_pb2 import RankedItem
from shopfuse.v1.recommendation_pb2 import RepeatPurchases


class Repeats(StrEnum):
    UNSPECIFIED = "unspecified"
    ALLOW = "allow"
    WHEN_DUE = "when_due"
    NEVER = "never"


CHOICE_OF = {
    Repeats.UNSPECIFIED: RepeatPurchases.REPEAT_PURCHASES_UNSPECIFIED,
    Repeats.ALLOW: RepeatPurchases.REPEAT_PURCHASES_ALLOW,
    Repeats.WHEN_DUE: RepeatPurchases.REPEAT_PURCHASES_WHEN_DUE,
    Repeats.NEVER: RepeatPurchases.REPEAT_PURCHASES_NEVER,
}
RepeatOption = Annotated[
    Repeats, typer.Option("--repeat-purchases", help="Whether what was bought may come back; else as the shop says.")
]
UserOption = Annotated[str, typer.Option("--user", "-u", help="User id; empty for an anonymous user.")]
SceneOption = Annotated[str, typer.Option(help="Scene of the request, such as holiday or campaign.")]
SizeOption = Annotated[int, typer.Option("--size", "-n", help="Items on a page.")]
PageOption = Annotated[str, typer.Option("--page-token", help="next_page_token of the page before.")]
BrandOption = Annotated[list[str] | None, typer.Option("--brand", help="Only this brand; may be repeated.")]
CategoryOption = Annotated[
    list[str] | None, typer.Option("--category", help='Only below this path, "A > B"; may be repeated.')
]
AttributeOption = Annotated[list[str] | None, typer.Option("--attribute", help="Only NAME=VALUE; may be repeated.")]
MinPriceOption = Annotated[float | None, typer.Option(help="Lowest price.")]
MaxPriceOption = Annotated[float | None, typer.Option(help="Highest price.")]
AddressOption = Annotated[str, typer.Option(help="HOST:PORT of a gateway; default: the one that serves the workspace.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Deadline in seconds.")]
ImageOption = Annotated[
    Path | None, typer.Option("--image", help="An image to search by: JPEG, PNG or WebP, at most 2 MiB.")
]


def parse_attributes(values: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of each "NAME=VALUE". Raises BadParameter where one is something else."""
    pairs = [value.partition("=") for value in values]
    for value, (_, equals, _) in zip(values, pairs, strict=True):
        if not equals:
            raise typer.BadParameter(f"--attribute {value!r}: expected NAME=VALUE")
    return [(name, value) for name, _, value in pairs]


def item_row(rank: int, item: RankedItem) -> list[object]:
    reasons = "; ".join(reason.text for reason in item.explanation.reasons[:2])
    price = f"{item.price:.2f}" if item.HasField("price") else "-"
    return [rank, item.item_id, item.title[:60], price, item.score, reasons]


def stage_line(timing: str) -> str:
    """The gateway's Server-Timing as people read it: "features 0.1 ms, encode 2.3 ms, ..."."""
    parts = [part.strip().partition(";dur=") for part in timing.split(",") if part]
    return ", ".join(f"{stage} {milliseconds} ms" for stage, _, milliseconds in parts)


def print_page(title: str, method: Any, request: Any, timeout_s: float, as_json: bool) -> None:
    """Makes a paged call, prints its answer and how to get the next page."""
    response = print_answer(title, method, request, timeout_s, as_json)
    if response.next_page_token and not as_json:
        out.print(f"next page: --page-token {response.next_page_token}", soft_wrap=True, markup=False)


def print_answer(title: str, method: Any, request: Any, timeout_s: float, as_json: bool) -> Any:
    """Makes any of the four calls and prints its answer, which it returns."""
    response, timing = timed_call(method, request, timeout_s)
    if as_json:
        print_json(document(response))
        return response
    rows = [item_row(rank, item) for rank, item in enumerate(response.items, 1)]
    print_table(title, ("#", "item", "title", "price", "score", "why"), rows)
    if response.degraded:
        lost = ", ".join(f"{gap.stage}: {gap.reason}" for gap in response.degradations)
        out.print(f"degraded ({lost})", style="yellow", markup=False)
    out.print(stage_line(timing), style="dim", markup=False)
    return response


def search(
    workspace: WorkspaceOption,
    query: Annotated[str, typer.Argument(help="Words to search for; may be left out beside an image.")] = "",
    image: ImageOption = None,
    user: UserOption = "",
    scene: SceneOption = "",
    size: SizeOption = 10,
    page_token: PageOption = "",
    brand: BrandOption = None,
    category: CategoryOption = None,
    attribute: AttributeOption = None,
    min_price: MinPriceOption = None,
    max_price: MaxPriceOption = None,
    address: AddressOption = "",
    timeout_s: TimeoutOption = 2.0,
    json: JsonOption = False,
) -> None:
    """Items that answer words, an image, or both, best first.

    \b
    shopfuse search "red running shoes" -w myshop --user u42 --max-price 80
    shopfuse search --image photo.jpg "running shoes" -w myshop
    """
    request = search_request(
        query,
        image=read_image(image) if image else b"",
        user=user,
        scene=scene,
        items=item_filter(brand or (), category or (), parse_attributes(attribute or ()), min_price, max_price),
        page_size=size,
        page_token=page_token,
        explain=True,
    )
    what = " and ".join([*([f'"{query}"'] if query else []), *([image.name] if image else [])])
    with connect(gateway_address(workspace, address)) as client:
        print_page(f"search {what}", client.searches.Search, request, timeout_s, json)


def recommend(
    workspace: WorkspaceOption,
    user: UserOption = "",
    repeat_purchases: RepeatOption = Repeats.UNSPECIFIED,
    scene: SceneOption = "",
    size: SizeOption = 10,
    page_token: PageOption = "",
    brand: BrandOption = None,
    category: CategoryOption = None,
    attribute: AttributeOption = None,
    min_price: MinPriceOption = None,
    max_price: MaxPriceOption = None,
    address: AddressOption = "",
    timeout_s: TimeoutOption = 2.0,
    json: JsonOption = False,
) -> None:
    """Items for a user; for an unknown one what is popular.

    \b
    shopfuse recommend -w myshop --user u42
    shopfuse recommend -w myshop --user u42 --repeat-purchases when_due
    """
    request = recommend_request(
        user,
        repeat_purchases=CHOICE_OF[repeat_purchases],
        scene=scene,
        items=item_filter(brand or (), category or (), parse_attributes(attribute or ()), min_price, max_price),
        page_size=size,
        page_token=page_token,
        explain=True,
    )
    with connect(gateway_address(workspace, address)) as client:
        print_page(f"recommend for {user or 'anonymous'}", client.recommendations.Recommend, request, timeout_s, json)


def similar(
    item: Annotated[str, typer.Argument(help="Item id to find others like.")],
    workspace: WorkspaceOption,
    user: UserOption = "",
    size: SizeOption = 10,
    page_token: PageOption = "",
    address: AddressOption = "",
    timeout_s: TimeoutOption = 2.0,
    json: JsonOption = False,
) -> None:
    """Items like a given one.

    shopfuse similar item-00042 -w myshop
    """
    request = similar_request(item, user=user, page_size=size, page_token=page_token, explain=True)
    with connect(gateway_address(workspace, address)) as client:
        print_page(f"like {item}", client.recommendations.RecommendSimilarItems, request, timeout_s, json)


def rank(
    items: Annotated[list[str], typer.Argument(help="Item ids to put in order.")],
    workspace: WorkspaceOption,
    query: Annotated[str, typer.Option("--query", "-q", help="Words that the items should answer.")] = "",
    user: UserOption = "",
    scene: SceneOption = "",
    address: AddressOption = "",
    timeout_s: TimeoutOption = 2.0,
    json: JsonOption = False,
) -> None:
    """Order your own candidates; none is added and none is lost.

    shopfuse rank item-1 item-2 item-3 -w myshop --user u42 --query shoes
    """
    request = rank_request(items, query=query, user=user, scene=scene, explain=True)
    with connect(gateway_address(workspace, address)) as client:
        print_answer(f"rank {len(items)} items", client.recommendations.RankItems, request, timeout_s, json)


def complete(
    prefix: Annotated[str, typer.Argument(help="The letters typed so far.")],
    workspace: WorkspaceOption,
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=50, help="Completions of each kind.")] = 8,
    address: AddressOption = "",
    timeout_s: TimeoutOption = 2.0,
    json: JsonOption = False,
) -> None:
    """Queries, categories and brands that go on from what was typed so far.

    shopfuse complete "run" -w myshop
    """
    request = CompleteQueryRequest(prefix=prefix, max_completions=size)
    with connect(gateway_address(workspace, address)) as client:
        response = call(client.completions.CompleteQuery, request, timeout_s)
    if json:
        print_json(document(response))
        return
    kinds = {number: name.removeprefix("COMPLETION_KIND_").lower() for name, number in CompletionKind.items()}
    rows = [[one.text, kinds[one.kind], one.items] for one in response.completions]
    print_table(f'complete "{prefix}"', ("completion", "kind", "items"), rows)
