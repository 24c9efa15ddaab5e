"""The loop in which every model is trained: optimiser, learning rate, clipping, mixed precision, early stopping.

A trainer brings its modules, a `Schedule`, the batches of an epoch, the loss of a batch and, where it has held-out
data, the validation loss; `fit` does the rest and leaves the modules on the CPU, in eval mode, in their best state:

    schedule = Schedule("train ranker", epochs=8, steps=steps, learning_rate=2e-3, weight_decay=0.02)
    history = fit({"ranker": ranker}, schedule, epoch_batches, batch_loss, validation_loss, progress=progress)
    metrics = history.metrics("ranker")

Random numbers, the split of the data and the order of the batches stay the trainer's: with its own seeded generators
the same seed gives the same weights on a CPU. Tensors of a batch go to `best_hardware().device` inside the trainer's
functions (`tensor.to(device)`, free on a CPU); modules are moved by `fit`. A GPU computes losses in bfloat16 where it
can, else in float16 with scaled gradients; validation is always float32.

`distributed=True` says that the other ranks (training/distributed/process_group.py) run this very training too: each
computes its own shard of the same batch, and gradients are averaged. The mean of the ranks' losses must be the loss of
the whole batch, and every parameter must take part in every step. Without it a process trains alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.training.distributed import process_group
from shopfuse.training.trainers.early_stopping import EarlyStopping
from shopfuse.training.trainers.learning_rate import warm_up_then_cosine

BatchT = TypeVar("BatchT")


class TrainingDiverged(ShopfuseError):
    """A loss or gradient is not a number; the message names the stage and the step."""


@dataclass(frozen=True, slots=True)
class Schedule:
    stage: str  # the name of the work in progress bars and errors
    epochs: int
    steps: int  # of an epoch
    learning_rate: float  # its peak; a parameter group may have its own
    weight_decay: float
    patience: int = 1  # epochs without a better validation loss
    largest_gradient: float = 5.0  # norm over all parameters; a larger one is scaled down to it


@dataclass(frozen=True, slots=True)
class Hardware:
    device: torch.device
    reduced: torch.dtype | None  # what losses are computed in; None: as the parameters are


def best_hardware() -> Hardware:
    """This process's GPU where it has one, else the CPU."""
    if not torch.cuda.is_available():
        return Hardware(torch.device("cpu"), None)
    reduced = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return Hardware(torch.device("cuda", torch.cuda.current_device()), reduced)


@dataclass(slots=True)
class TrainingHistory:
    """Mean losses by epoch, and how many of the steps had a gradient that was scaled down."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)  # empty where nothing was held out
    steps: int = 0
    clipped: int = 0

    def metrics(self, name: str) -> dict[str, Any]:
        """`<name>_training_loss` and `<name>_validation_loss` of the kept epoch, and all epochs in `<name>_history`."""
        kept = self.validation.index(min(self.validation)) if self.validation else len(self.training) - 1
        record = {
            "training": [round(loss, 5) for loss in self.training],
            "validation": [round(loss, 5) for loss in self.validation],
            "steps": self.steps,
            "clipped": self.clipped,
        }
        losses = {f"{name}_training_loss": self.training[kept]}
        if self.validation:
            losses[f"{name}_validation_loss"] = self.validation[kept]
        return {**losses, f"{name}_epochs": float(len(self.training)), f"{name}_history": record}


def unwatched(epoch: int, validation_loss: float) -> None:
    """Watches nothing."""


def fit(
    modules: Mapping[str, nn.Module],
    schedule: Schedule,
    batches: Callable[[int], Iterable[BatchT]],
    batch_loss: Callable[[BatchT], Tensor],
    validation_loss: Callable[[], float] | None = None,
    *,
    groups: Sequence[dict[str, Any]] | None = None,
    hardware: Hardware | None = None,
    distributed: bool = False,
    progress: Progress = silent,
    watch: Callable[[int, float], None] = unwatched,
) -> TrainingHistory:
    """Trains `modules` in place; they keep the state of the epoch with the lowest validation loss, or the last one.

    `batches(epoch)` gives `schedule.steps` batches; `batch_loss` gives a scalar with a gradient. `groups` are AdamW's
    parameter groups, one of all parameters unless given. `watch` is told each epoch's validation loss and may raise to
    end a hopeless run. Raises TrainingDiverged, and ProcessGroupError where another process is gone.
    """
    parts, history = nn.ModuleDict(dict(modules)), TrainingHistory()
    hardware = hardware or best_hardware()
    parts.to(hardware.device)
    distributed = distributed and process_group.world_size() > 1
    optimisation = _Optimisation(parts, groups, schedule, batch_loss, hardware, distributed)
    stopping = EarlyStopping(modules, schedule.patience)
    try:
        for epoch in range(schedule.epochs):
            parts.train()
            with process_group.failures_named(schedule.stage):
                _train_epoch(optimisation, batches(epoch), epoch, history, progress)
                if validation_loss is None:
                    continue
                parts.eval()
                history.validation.append(_validate(validation_loss, schedule.stage, epoch))
            watch(epoch, history.validation[-1])
            if stopping.should_stop(history.validation[-1]):
                break
        if history.validation:
            stopping.restore()
    finally:
        parts.cpu().eval()
    return history


def _train_epoch(
    optimisation: _Optimisation[BatchT],
    batches: Iterable[BatchT],
    epoch: int,
    history: TrainingHistory,
    progress: Progress,
) -> None:
    schedule = optimisation.schedule
    losses = []
    for step, batch in enumerate(batches, epoch * schedule.steps + 1):
        loss, norm = optimisation.step(batch, step)
        losses.append(loss)
        history.steps += 1
        history.clipped += norm > schedule.largest_gradient
        progress(schedule.stage, step, schedule.epochs * schedule.steps)
    loss = sum(losses) / max(len(losses), 1)
    history.training.append(process_group.mean(loss) if optimisation.distributed else loss)


def _validate(validation_loss: Callable[[], float], stage: str, epoch: int) -> float:
    with torch.no_grad():
        loss = validation_loss()
    if not math.isfinite(loss):
        raise TrainingDiverged(f"{stage}: the validation loss is {loss} after epoch {epoch + 1}, expected a number")
    return loss


class _WithLoss(nn.Module):
    """Modules and loss as one module, as DistributedDataParallel wants it."""

    def __init__(self, parts: nn.ModuleDict, batch_loss: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.parts, self._batch_loss = parts, batch_loss

    def forward(self, batch: Any) -> Tensor:
        return self._batch_loss(batch)


class _Optimisation(Generic[BatchT]):
    """What a run changes from step to step beside the parameters: moments, learning rate, the gradients' scale."""

    def __init__(
        self,
        parts: nn.ModuleDict,
        groups: Sequence[dict[str, Any]] | None,
        schedule: Schedule,
        batch_loss: Callable[[BatchT], Tensor],
        hardware: Hardware,
        distributed: bool,
    ) -> None:
        self.schedule, self._hardware, self.distributed = schedule, hardware, distributed
        self._parameters = [parameter for parameter in parts.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(
            groups or self._parameters,
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            fused=True,  # one pass over the parameters, most of which are the items' embeddings
        )
        self._rates = warm_up_then_cosine(self._optimizer, schedule.epochs * schedule.steps)
        self._scaler = torch.amp.GradScaler(hardware.device.type, enabled=hardware.reduced == torch.float16)
        whole = _WithLoss(parts, batch_loss)
        self._whole = DistributedDataParallel(whole) if distributed else whole

    def step(self, batch: BatchT, number: int) -> tuple[float, float]:
        """One step on one batch: its loss and the norm of its gradient."""
        with torch.autocast(
            self._hardware.device.type, dtype=self._hardware.reduced, enabled=self._hardware.reduced is not None
        ):
            loss: Tensor = self._whole(batch)
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        norm = float(clip_grad_norm_(self._parameters, self.schedule.largest_gradient))
        self._check(float(loss.detach()), norm, number)
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._scaler.get_scale() >= scale:  # else the step was left out
            self._rates.step()
        return float(loss.detach()), norm

    def _check(self, loss: float, norm: float, number: int) -> None:
        """The scaler leaves a step out whose scaled gradients are too large for float16; anything else is an error."""
        usable = math.isfinite(loss) and (math.isfinite(norm) or self._scaler.is_enabled())
        if not usable:
            total = self.schedule.epochs * self.schedule.steps
            raise TrainingDiverged(
                f"{self.schedule.stage}: loss {loss}, gradient {norm} at step {number} of {total}, expected numbers; "
                "a lower learning rate may help, or the training data holds values that are not numbers"
            )
