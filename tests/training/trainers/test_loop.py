"""The training loop on a problem of one layer, whose answer is known."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from shopfuse.training.trainers.loop import Hardware, Schedule, TrainingDiverged, TrainingHistory, fit

CPU = Hardware(torch.device("cpu"), None)
WANTED = torch.tensor([[1.0, -2.0, 0.5]])


SCHEDULE = Schedule("train line", epochs=6, steps=30, learning_rate=0.1, weight_decay=0.0)


def batches(epoch: int, size: int = 16, steps: int = 30) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(epoch)
    yield from (torch.randn(size, 3, generator=random) for _ in range(steps))


class Line:
    """y = w x, to be found from samples."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 1, bias=False)

    def loss(self, batch: Tensor) -> Tensor:
        error: Tensor = self.layer(batch) - batch @ WANTED.T
        return error.square().mean()

    def fit(self, hardware: Hardware = CPU) -> TrainingHistory:
        return fit({"layer": self.layer}, SCHEDULE, batches, self.loss, self.validation, hardware=hardware)

    def validation(self) -> float:
        return float(self.loss(next(batches(99))))


@pytest.mark.parametrize("reduced", [None, torch.bfloat16, torch.float16])
def test_it_finds_the_line_in_every_precision(reduced: torch.dtype | None) -> None:
    line = Line()

    history = line.fit(Hardware(torch.device("cpu"), reduced))

    assert torch.allclose(line.layer.weight, WANTED, atol=1e-3 if reduced is None else 0.05)
    assert history.validation[-1] < 0.01 * history.validation[0] or history.validation[-1] < 1e-3
    assert history.steps == 30 * len(history.training)
    assert not line.layer.training


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = Line(), Line()
    first.fit()
    second.fit()

    assert torch.equal(first.layer.weight, second.layer.weight)


def test_a_loss_that_is_no_number_stops_with_stage_and_step() -> None:
    line = Line()

    def broken(epoch: int) -> Iterator[Tensor]:
        for step, batch in enumerate(batches(epoch)):
            yield batch * float("nan") if step == 4 else batch

    with pytest.raises(TrainingDiverged, match=r"train line: loss nan.* at step 5 of 180"):
        fit({"layer": line.layer}, SCHEDULE, broken, line.loss, hardware=CPU)
    assert torch.isfinite(line.layer.weight).all()


def test_a_validation_loss_that_is_no_number_stops_with_its_epoch() -> None:
    line = Line()

    with pytest.raises(TrainingDiverged, match="train line: the validation loss is nan after epoch 1"):
        fit({"layer": line.layer}, SCHEDULE, batches, line.loss, lambda: float("nan"), hardware=CPU)


def test_it_keeps_the_epoch_with_the_lowest_validation_loss_and_stops_soon_after() -> None:
    line, told = Line(), iter([3.0, 1.0, 2.0, 2.5, 0.1])
    seen: list[Tensor] = []

    def validation() -> float:
        seen.append(line.layer.weight.detach().clone())
        return next(told)

    history = fit({"layer": line.layer}, SCHEDULE, batches, line.loss, validation, hardware=CPU)

    assert history.validation == [3.0, 1.0, 2.0, 2.5]
    assert torch.equal(line.layer.weight, seen[1])
    assert history.metrics("line")["line_validation_loss"] == 1.0
    assert history.metrics("line")["line_epochs"] == 4.0


def test_a_large_gradient_is_scaled_down_and_counted() -> None:
    line = Line()

    history = fit(
        {"layer": line.layer}, replace(SCHEDULE, epochs=1, largest_gradient=1e-3), batches, line.loss, hardware=CPU
    )

    assert history.clipped == 30
    assert history.validation == []
    assert history.metrics("line")["line_training_loss"] == history.training[-1]


def test_a_watcher_may_end_a_hopeless_run() -> None:
    line = Line()

    def watch(epoch: int, loss: float) -> None:
        if epoch == 1:
            raise InterruptedError(f"hopeless at {epoch}")

    with pytest.raises(InterruptedError, match="hopeless at 1"):
        fit({"layer": line.layer}, SCHEDULE, batches, line.loss, line.validation, hardware=CPU, watch=watch)
    assert not line.layer.training
