"""`shopfuse classify`: what a served workspace makes of a text, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from shopfuse.cli.ask import AddressOption, TimeoutOption
from shopfuse.cli.console import out, print_json, print_table
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.local.client import call, connect, document
from shopfuse.local.endpoints import gateway_address
from shopfuse.v1 import text_pb2


class Task(StrEnum):
    """What to tell of a text."""

    CATEGORY = "category"
    SENTIMENT = "sentiment"


TASKS = {Task.CATEGORY: text_pb2.TEXT_TASK_CATEGORY, Task.SENTIMENT: text_pb2.TEXT_TASK_SENTIMENT}

TextsArgument = Annotated[list[str], typer.Argument(help="Texts: product titles, reviews.")]
TaskOption = Annotated[list[Task] | None, typer.Option("--task", help="Default: all that the shop has learned.")]
TopOption = Annotated[int, typer.Option("--top", "-k", min=1, max=50, help="Labels for each text.")]


def rows_of(text: str, result: text_pb2.TextClassification) -> list[list[object]]:
    """One row for each label; the text stands in the first."""
    rows: list[list[object]] = []
    if result.HasField("category"):
        answer = result.category.category or "(none is probable enough)"
        rows += [["category", answer, label.label, label.probability] for label in result.category.labels]
    if result.HasField("sentiment"):
        answer = f"{result.sentiment.sentiment} ({result.sentiment.score:+.2f})"
        rows += [["sentiment", answer, label.label, label.probability] for label in result.sentiment.labels]
    return [[text if place == 0 else "", *row] for place, row in enumerate(rows)]


def classify(
    texts: TextsArgument,
    workspace: WorkspaceOption,
    task: TaskOption = None,
    top: TopOption = 3,
    address: AddressOption = "",
    timeout_s: TimeoutOption = 5.0,
    json: JsonOption = False,
) -> None:
    """The category that a product text belongs to, and the sentiment of a review.

    shopfuse classify "waterproof hiking boots" "Broke after a week" -w myshop
    """
    request = text_pb2.ClassifyTextRequest(texts=texts, tasks=[TASKS[one] for one in task or ()], top_k=top)
    with connect(gateway_address(workspace, address)) as client:
        response = call(client.texts.ClassifyText, request, timeout_s)
    if json:
        print_json(document(response))
    else:
        print_classified(texts, response)


def print_classified(texts: Sequence[str], response: text_pb2.ClassifyTextResponse) -> None:
    pairs = zip(texts, response.classifications, strict=True)
    rows = [row for text, result in pairs for row in rows_of(text, result)]
    print_table("classified", ("text", "task", "answer", "label", "probability"), rows)
    if cut := sum(result.truncated for result in response.classifications):
        out.print(f"{cut} of the texts were longer than the encoder reads", style="dim")
