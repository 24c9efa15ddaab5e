"""`shopfuse search|recommend|similar|rank`: one request to a served workspace, answered as a table or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shopfuse.cli.console import out, print_json, print_table
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.local.client import connect, document, timed_call
from shopfuse.local.endpoints import read_endpoints
from shopfuse.v1 import item_pb2, recommendation_pb2, search_pb2

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
MAX_IMAGE_BYTES = 2 << 20  # what the gateway takes


def image_bytes(path: Path) -> bytes:
    """Raises ShopfuseError naming the file that cannot be read or is too large to send."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise ShopfuseError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_IMAGE_BYTES:
        raise ShopfuseError(f"{path}: more than {MAX_IMAGE_BYTES >> 20} MiB; make the image smaller")
    return data


def item_filter(
    brands: list[str] | None,
    categories: list[str] | None,
    attributes: list[str] | None,
    min_price: float | None,
    max_price: float | None,
) -> item_pb2.ItemFilter:
    conditions = []
    for attribute in attributes or []:
        name, equals, value = attribute.partition("=")
        if not equals:
            raise typer.BadParameter(f"--attribute {attribute!r}: expected NAME=VALUE")
        conditions.append(item_pb2.AttributeCondition(name=name, values=[value]))
    chosen = item_pb2.ItemFilter(brands=brands or [], categories=categories or [], attributes=conditions)
    if min_price is not None:
        chosen.min_price = min_price
    if max_price is not None:
        chosen.max_price = max_price
    return chosen


def item_row(rank: int, item: item_pb2.RankedItem) -> list[object]:
    reasons = "; ".join(reason.text for reason in item.explanation.reasons[:2])
    price = f"{item.price:.2f}" if item.HasField("price") else "-"
    return [rank, item.item_id, item.title[:60], price, item.score, reasons]


def stage_line(timing: str) -> str:
    """The gateway's Server-Timing as people read it: "features 0.1 ms, encode 2.3 ms, ..."."""
    parts = [part.strip().partition(";dur=") for part in timing.split(",") if part]
    return ", ".join(f"{stage} {milliseconds} ms" for stage, _, milliseconds in parts)


def ask(title: str, method: Any, request: Any, timeout_s: float, as_json: bool) -> None:
    """Makes a paged call, prints its answer and how to get the next page."""
    response = show(title, method, request, timeout_s, as_json)
    if response.next_page_token and not as_json:
        out.print(f"next page: --page-token {response.next_page_token}", soft_wrap=True, markup=False)


def show(title: str, method: Any, request: Any, timeout_s: float, as_json: bool) -> Any:
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


def address_of(workspace: Path, address: str) -> str:
    return address or read_endpoints(workspace).grpc


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

    shopfuse search "red running shoes" -w myshop --user u42 --max-price 80
    shopfuse search --image photo.jpg "running shoes" -w myshop
    """
    request = search_pb2.SearchRequest(
        query=query,
        query_image=image_bytes(image) if image else b"",
        user_id=user,
        context=item_pb2.RequestContext(scene=scene),
        filter=item_filter(brand, category, attribute, min_price, max_price),
        page_size=size,
        page_token=page_token,
        explain=True,
    )
    asked = " and ".join([*([f'"{query}"'] if query else []), *([image.name] if image else [])])
    with connect(address_of(workspace, address)) as client:
        ask(f"search {asked}", client.searches.Search, request, timeout_s, json)


def recommend(
    workspace: WorkspaceOption,
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
    """Items for a user; for an unknown one what is popular.

    shopfuse recommend -w myshop --user u42
    """
    request = recommendation_pb2.RecommendRequest(
        user_id=user,
        context=item_pb2.RequestContext(scene=scene),
        filter=item_filter(brand, category, attribute, min_price, max_price),
        page_size=size,
        page_token=page_token,
        explain=True,
    )
    with connect(address_of(workspace, address)) as client:
        ask(f"recommend for {user or 'anonymous'}", client.recommendations.Recommend, request, timeout_s, json)


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
    request = recommendation_pb2.RecommendSimilarItemsRequest(
        item_id=item, user_id=user, page_size=size, page_token=page_token, explain=True
    )
    with connect(address_of(workspace, address)) as client:
        ask(f"like {item}", client.recommendations.RecommendSimilarItems, request, timeout_s, json)


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
    request = recommendation_pb2.RankItemsRequest(
        item_ids=items, query=query, user_id=user, context=item_pb2.RequestContext(scene=scene), explain=True
    )
    with connect(address_of(workspace, address)) as client:
        show(f"rank {len(items)} items", client.recommendations.RankItems, request, timeout_s, json)
