"""What the towers see in a training step, in a validation, and in a process's share of a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from shopfuse.ranking.tensors import MODALITIES, TOKEN, VECTOR
from shopfuse.training.examples.clicks import class_balance
from shopfuse.training.examples.tower_batch import tower_batch
from shopfuse.training.trainers.tower_losses import TowerHeads, tower_loss
from shopfuse.training.trainers.tower_task import TowerTask, new_towers
from shopfuse.training.trainers.towers import train_towers, with_gaps
from shopfuse.training.trainers.tuned_settings import with_values
from tests.training.random_towers import CLICKS, ITEMS, SETTINGS, random_task

# One epoch in which nothing is learned: its losses are those of the first weights.
STILL = replace(SETTINGS, epochs=1, learning_rate=0.0, behaviour_rate=0.0)


@pytest.fixture(scope="module")
def task() -> TowerTask:
    torch.set_num_threads(1)
    return replace(random_task(), settings=STILL)


def losses(task: TowerTask, **changes: float) -> tuple[float, float]:
    """In training and in validation, after one epoch."""
    _, metrics = train_towers(replace(task, settings=with_values(task.settings, changes)))
    return metrics["tower_training_loss"], metrics["tower_validation_loss"]


def with_other_items(task: TowerTask, clicks: slice) -> TowerTask:
    """The same but for what was clicked in some clicks."""
    item = task.examples.item.copy()
    item[clicks] = (item[clicks] + 1) % ITEMS
    return replace(task, examples=replace(task.examples, item=item))


def test_the_newest_clicks_are_held_out_from_training(task: TowerTask) -> None:
    at_once = replace(task, settings=replace(STILL, batch=CLICKS))  # every click is in the only step
    first_held_out = CLICKS - int(STILL.validation_share * CLICKS)
    training, validation = losses(at_once)

    newest_differ = losses(with_other_items(at_once, slice(first_held_out, CLICKS)))
    last_trained_differs = losses(with_other_items(at_once, slice(first_held_out - 1, first_held_out)))

    assert newest_differ[0] == training
    assert newest_differ[1] != validation
    assert last_trained_differs[0] != training
    assert last_trained_differs[1] == validation


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_mean_over_the_shards_of_a_batch_is_the_loss_of_the_batch(task: TowerTask, world_size: int) -> None:
    random = torch.Generator().manual_seed(0)
    size = 64
    batch = tower_batch(task.examples.take(np.arange(size)), torch.arange(0, ITEMS, 4), 8, random, torch.arange(ITEMS))
    users = torch.randn(size, VECTOR, generator=random)
    queries = torch.randn(size, VECTOR, generator=random) * batch.searched.unsqueeze(-1)
    vectors = normalize(torch.randn(len(batch.rows), VECTOR, generator=random), dim=-1)
    tokens = normalize(torch.randn(len(batch.rows), len(MODALITIES), TOKEN, generator=random), dim=-1)
    heads, weights = TowerHeads(), {"list_weight": STILL.list_loss, "modality_weight": STILL.modality_loss}

    with torch.no_grad():
        whole = tower_loss(heads, batch, users, queries, vectors, tokens, **weights)
        losses = []
        for rank in range(world_size):
            part = slice(size * rank // world_size, size * (rank + 1) // world_size)
            own, kept = batch.shard(part, world_size)
            losses.append(tower_loss(heads, own, users[part], queries[part], vectors[kept], tokens[kept], **weights))
            assert len(own.rows) < len(batch.rows)

    assert float(torch.stack(losses).mean()) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize(
    "change", [{"noise": 0.3}, {"drop_history": 0.5}, {"drop_content": 0.5}, {"drop_behaviour": 0.9}]
)
def test_what_makes_training_harder_leaves_validation_alone(task: TowerTask, change: dict[str, float]) -> None:
    easy = {"noise": 0.0, "drop_history": 0.0, "drop_content": 0.0, "drop_behaviour": 0.0}

    training, validation = losses(task, **easy)
    harder = losses(task, **{**easy, **change})

    assert harder[0] != training
    assert harder[1] == validation


def test_an_item_never_loses_its_last_modality(task: TowerTask) -> None:
    whole, gaps, everything_lost = (losses(task, drop_content=rate, drop_behaviour=rate)[0] for rate in (0.0, 0.5, 1.0))

    assert gaps != whole
    assert everything_lost == whole  # so that nothing is


def test_gaps_only_take_and_leave_each_item_something() -> None:
    random = torch.Generator().manual_seed(0)
    presence = (torch.rand(1000, len(MODALITIES), generator=random) < 0.7).float()

    kept = with_gaps(presence, (0.5, 0.5, 0.5), random)

    assert ((kept.sum(1) > 0) == (presence.sum(1) > 0)).all()
    assert float(kept.sum()) < 0.8 * float(presence.sum())
    assert (kept <= presence).all()


def test_rare_outcomes_count_more_and_the_record_says_how_much(task: TowerTask) -> None:
    balance = class_balance(task.examples)

    assert sum(part["clicks"] for part in balance.values()) == CLICKS
    assert sum(part["share"] for part in balance.values()) == pytest.approx(1.0, abs=1e-3)
    assert balance["purchase"]["weight"] > balance["add_to_cart"]["weight"] > balance["select_item"]["weight"] == 1.0


def test_variants_of_the_clicked_product_are_no_wrong_answers(task: TowerTask) -> None:
    product, negatives = torch.arange(ITEMS) // 2 * 2, torch.arange(ITEMS)
    batch = tower_batch(task.examples.take(np.arange(8)), negatives, 8, torch.Generator().manual_seed(0), product)

    for clicked, hit in zip(task.examples.item[:8].tolist(), batch.hit, strict=True):
        assert negatives[hit].tolist() == [clicked // 2 * 2, clicked // 2 * 2 + 1]


def test_variants_learn_one_id_embedding(task: TowerTask) -> None:
    product = (np.arange(ITEMS) // 2 * 2).astype(np.int32)
    of_groups = replace(task, product=product, settings=replace(SETTINGS, epochs=1))
    before = new_towers(of_groups).behaviour.weight.detach()
    after = train_towers(of_groups)[0].behaviour.weight.detach()
    moved = (after != before).any(1).numpy()

    assert moved[product == np.arange(ITEMS)].any()
    assert not moved[product != np.arange(ITEMS)].any()
