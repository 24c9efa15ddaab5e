"""Every topic put to the gateway, and its answers scored beside rows that are computed from the same release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic, TopicScores, groups_of, score_rankings
from shopfuse.evaluation.offline.release_rows import OfflineRows, Rankings, open_offline_rows
from shopfuse.local.client import Client, call, connect
from shopfuse.local.requests import recommend_request, search_request
from shopfuse.local.stack import served_workspace, stable_release
from shopfuse.state.lmdb_store import LmdbStore

PAGE = 100
TIMEOUT_S = 10.0

Answer = Callable[[Client, Topic], list[str]]
Others = Callable[[OfflineRows, Sequence[Topic]], Rankings]


def search_answer(client: Client, topic: Topic) -> list[str]:
    """Item ids of a search, best first, as far as the gateway ranks them."""
    request = search_request(topic.query, user=topic.user_id, scene=topic.scene, page_size=PAGE)
    return _all_pages(client.searches.Search, request)


def recommend_answer(client: Client, topic: Topic) -> list[str]:
    """Item ids recommended to the topic's user, best first, as far as the gateway ranks them."""
    request = recommend_request(topic.user_id, scene=topic.scene, page_size=PAGE)
    return _all_pages(client.recommendations.Recommend, request)


def page(method: Any, request: Any) -> tuple[list[str], str]:
    """(the item ids of one page, the token of the next one: "" after the last)."""
    response = call(method, request, TIMEOUT_S)
    return [item.item_id for item in response.items], response.next_page_token


def _all_pages(method: Any, request: Any) -> list[str]:
    ids, token = page(method, request)
    while token:
        request.page_token = token
        more, token = page(method, request)
        ids += more
    return ids


def score_served(
    workspace: Path, topics: Sequence[Topic], answer: Answer, others: Others, progress: Progress
) -> tuple[str, dict[str, TopicScores]]:
    """(release id, scores by row): "served" through the gateway, and the rows computed beside it."""
    manifest = stable_release(workspace)
    rankings: Rankings = {"served": []}
    with served_workspace(workspace, progress) as endpoints, connect(endpoints.grpc) as client:
        for topic in topics:
            rankings["served"].append(answer(client, topic))
            progress("ask the gateway", len(rankings["served"]), len(topics))
    progress("rows beside it", 0, 1)
    with LmdbStore.open(WorkspacePaths(workspace).store) as store:
        rankings |= others(open_offline_rows(workspace, manifest, store), topics)
    progress("rows beside it", 1, 1)
    group_of = groups_of(Workspace.open(workspace).items().collect())
    return manifest.release_id, {name: score_rankings(topics, row, group_of) for name, row in rankings.items()}
