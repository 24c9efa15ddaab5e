"""A shop of purchases alone: below what can be trained its own visits choose, above it everything is trained."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shopfuse.datasets.schema import EVENT_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.trainers.build_models import build_models
from tests.training.conftest import TEXT_DIM, encode_words

ITEMS = 60
START = datetime(2026, 1, 1, tzinfo=UTC)


def shop_of(folder: Path, users: int, days: int) -> Workspace:
    """Every user buys the same three items every other day, and now and then another one; nothing else is logged."""
    workspace = Workspace.create(folder / "shop")
    items = [
        {"item_id": f"p{row:02d}", "title": f"product {row}", "description": "", "category": ["All"]}
        for row in range(ITEMS)
    ]
    filled = [dict.fromkeys(ITEM_SCHEMA) | {"attributes": [], "available": True} | item for item in items]
    workspace.paths.catalogue.mkdir()
    pl.DataFrame(filled, schema=ITEM_SCHEMA).write_parquet(workspace.paths.items)
    workspace.paths.events.mkdir()
    rng = np.random.default_rng(0)
    for day in range(days):
        at = START + timedelta(days=day)
        bought = [
            (user, row) for user in range(day % 2, users, 2) for row in (user * 3 % ITEMS, (user * 3 + 1) % ITEMS)
        ]
        bought += [(user, int(rng.integers(0, ITEMS))) for user in range(0, users, 4)]
        rows = [
            dict.fromkeys(EVENT_SCHEMA)
            | {"event_id": f"{day}-{place}", "event_name": "purchase", "timestamp": at + timedelta(seconds=place)}
            | {"user_id": f"u{user}", "session_id": f"u{user}-{day}", "item_id": f"p{row:02d}"}
            for place, (user, row) in enumerate(bought)
        ]
        pl.DataFrame(rows, schema=EVENT_SCHEMA).write_parquet(workspace.paths.events_of(at.date()))
    return workspace


def built(workspace: Workspace) -> ShopModels:
    titles = workspace.items().collect()["title"].to_list()
    return build_models(workspace, encode_words(titles), encode_words, seed=0)


def test_a_shop_of_some_hundred_purchases_is_served_what_its_own_visits_choose(tmp_path: Path) -> None:
    models = built(shop_of(tmp_path, users=24, days=20))

    reached = models.metrics["validation_ndcg"]
    assert models.made_by["towers"] == "fitted"
    assert models.metrics["adopted"] in ("buy_again", "weighted")
    assert reached[models.metrics["adopted"]] == max(reached.values())
    assert reached["buy_again"] > reached["popularity"] + 0.1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> ShopModels:
    return built(shop_of(tmp_path_factory.mktemp("purchases"), users=80, days=40))


def test_purchases_alone_train_and_what_is_adopted_is_no_worse_than_any_simple_row(trained: ShopModels) -> None:
    reached = trained.metrics["validation_ndcg"]

    assert trained.made_by["towers"] == "trained"
    assert reached[trained.metrics["adopted"]] == max(reached.values())
    assert {"popularity", "item_knn", "buy_again", "attention", "weighted"} <= reached.keys()
    assert trained.metrics["similar_lead"]["lists"] > 0


def test_words_find_the_items_whose_texts_they_are_like_though_nobody_searched(trained: ShopModels) -> None:
    import torch

    texts = torch.from_numpy(encode_words([f"product {row}" for row in range(ITEMS)]))
    with torch.no_grad():
        queries = trained.query_tower(texts)

    assert texts.shape[1] == TEXT_DIM
    assert torch.isfinite(queries).all()
    assert torch.allclose(queries.norm(dim=1), torch.ones(ITEMS), atol=1e-5)
