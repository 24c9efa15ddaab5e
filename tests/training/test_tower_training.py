"""What the towers see in a training step, in a validation, and in a process's share of a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from shopfuse.training.tower_batch import TowerBatch
from shopfuse.training.tower_examples import class_balance
from shopfuse.training.train_towers import Towers, TowerTask, TowerTraining, _Run, new_towers
from shopfuse.training.tuned import with_values

from .team_child import CLICKS, SETTINGS, random_task


@pytest.fixture(scope="module")
def task() -> TowerTask:
    torch.set_num_threads(1)
    return random_task()


@pytest.fixture(scope="module")
def towers(task: TowerTask) -> Towers:
    return new_towers(task)


def run(towers: Towers, task: TowerTask, settings: TowerTraining = SETTINGS) -> _Run:
    return _Run(towers, replace(task, settings=settings))


def first_batch(running: _Run) -> TowerBatch:
    return next(running._batches(1))


def test_the_newest_clicks_are_held_out_from_training(towers: Towers, task: TowerTask) -> None:
    numbered = replace(task.examples, weight=1.0 + np.arange(CLICKS, dtype=np.float32))  # a click says how new it is
    running = run(towers, replace(task, examples=numbered), replace(SETTINGS, batch=CLICKS))
    held_out = int(SETTINGS.validation_share * CLICKS)

    batch = first_batch(running)

    assert held_out > 0
    newest = 1.0 + np.arange(CLICKS - held_out)
    assert np.allclose(np.sort(batch.weight.numpy()), newest / newest.sum(), rtol=1e-5)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_mean_over_the_shares_of_a_batch_is_the_loss_of_the_batch(
    towers: Towers, task: TowerTask, processes: int
) -> None:
    running = run(towers, task)
    batch = first_batch(running)
    presence, size = running.inputs.presence[batch.rows], len(batch.clicked)

    with torch.no_grad():
        whole = running._loss(batch, presence)
        losses = []
        for place in range(processes):
            part = slice(size * place // processes, size * (place + 1) // processes)
            own, kept = batch.share(part, processes)
            losses.append(running._loss(own, presence[kept]))
            assert len(own.rows) < len(batch.rows)

    assert float(torch.stack(losses).mean()) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize(
    "change", [{"noise": 0.3}, {"drop_history": 0.5}, {"drop_content": 0.5}, {"drop_behaviour": 0.9}]
)
def test_what_makes_training_harder_leaves_validation_alone(
    towers: Towers, task: TowerTask, change: dict[str, float]
) -> None:
    easy = replace(SETTINGS, noise=0.0, drop_history=0.0, drop_content=0.0, drop_behaviour=0.0)
    losses = []
    for settings in (easy, with_values(easy, change)):
        running = run(towers, task, settings)
        with torch.no_grad():
            losses.append((float(running._training_loss(first_batch(running))), running._validation_loss()))

    assert losses[0][0] != losses[1][0]
    assert losses[0][1] == losses[1][1]


def test_an_item_never_loses_its_last_modality(towers: Towers, task: TowerTask) -> None:
    running = run(towers, task, replace(SETTINGS, drop_content=0.5, drop_behaviour=0.5))
    presence = running.inputs.presence

    kept = running._with_gaps(presence)

    assert ((kept.sum(1) > 0) == (presence.sum(1) > 0)).all()
    assert float(kept.sum()) < 0.8 * float(presence.sum())
    assert (kept <= presence).all()


def test_rare_outcomes_count_more_and_the_record_says_how_much(task: TowerTask) -> None:
    balance = class_balance(task.examples)

    assert sum(part["clicks"] for part in balance.values()) == CLICKS
    assert sum(part["share"] for part in balance.values()) == pytest.approx(1.0, abs=1e-3)
    assert balance["purchase"]["weight"] > balance["add_to_cart"]["weight"] > balance["select_item"]["weight"] == 1.0
