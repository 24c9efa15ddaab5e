"""Searches the settings of one model: trials by a tree-structured Parzen estimator, hopeless ones ended early.

A trial trains with some settings and is judged by its loss on the newest examples, which it did not train on; never by
a truth or by judgements. The first trial is the defaults. Every trial is kept in a file as soon as it is done, so that
a search that was stopped goes on where it was. Choosing the best of many flatters it: before it is adopted, it meets
the defaults again on seeds that had no part in the search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.training.trainers.loop import TrainingDiverged
from shopfuse.training.trainers.tuned_settings import SEARCHED, TrainingSettings, Values

Watch = Callable[[int, float], None]
Train = Callable[[TrainingSettings, int, Watch], float]  # settings, seed -> the lowest validation loss


class TuningError(ShopfuseError):
    """A search none of whose trials came to an end."""


CONFIRMING_SEEDS = 2
_FIRST_TRIALS = 5  # drawn at random, and never ended early


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one call searches: until there are so many trials in all, or so many minutes have gone by."""

    trials: int
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    values: dict[str, float]
    state: str  # complete | pruned | fail: it diverged
    loss: float | None  # None where there was none before it ended


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Losses of the confirmation are means over the same fresh seeds."""

    model: str
    trials: tuple[Trial, ...]
    best: dict[str, float]
    confirmed: tuple[float, float] | None  # of the defaults, of the best; None where the best are the defaults

    @property
    def adopted(self) -> bool:
        return self.confirmed is not None and self.confirmed[1] < self.confirmed[0]


def search(
    model: str, name: str, train: Train, file: Path, budget: Budget, *, seed: int = 0, progress: Progress = silent
) -> SearchResult:
    """Goes on with the search `name` in `file`, or begins it. One of another name (other data) is left alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))), study_name=name, load_if_exists=True
    )
    done = len(_ended(study))
    study.sampler = optuna.samplers.TPESampler(seed=seed + done, n_startup_trials=_FIRST_TRIALS)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=1)
    if not study.trials:
        study.enqueue_trial(default_values(model))
    stage = f"tune {model}"
    progress(stage, done, budget.trials)
    study.optimize(
        lambda trial: train(TrainingSettings().changed(model, _suggested(trial, model)), seed, _watcher(trial)),
        n_trials=max(0, budget.trials - done),
        timeout=None if budget.minutes is None else 60.0 * budget.minutes,
        catch=(TrainingDiverged,),
        callbacks=[lambda study, _: progress(stage, len(_ended(study)), budget.trials)],
    )
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise TuningError(f"{stage}: none of {len(study.trials)} trials came to an end; give it more time or trials")
    best = dict(study.best_trial.params)
    return SearchResult(model, tuple(map(_trial, _ended(study))), best, _confirm(model, best, train, seed, progress))


def default_values(model: str) -> dict[str, float]:
    """The searched settings as they are without a search."""
    defaults = getattr(TrainingSettings(), model)
    return {name: getattr(defaults, name) for name in SEARCHED[model]}


def _suggested(trial: optuna.Trial, model: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, default in default_values(model).items():
        allowed = SEARCHED[model][name]
        if isinstance(default, int):
            values[name] = trial.suggest_int(name, int(allowed.low), int(allowed.high), log=allowed.log)
        else:
            values[name] = trial.suggest_float(name, allowed.low, allowed.high, log=allowed.log)
    return values


def _watcher(trial: optuna.Trial) -> Watch:
    def watch(epoch: int, loss: float) -> None:
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    return watch


def _confirm(model: str, best: Values, train: Train, seed: int, progress: Progress) -> tuple[float, float] | None:
    """The mean losses of the defaults and of the best settings on fresh seeds."""
    if best == default_values(model):
        return None
    chosen = (TrainingSettings(), TrainingSettings().changed(model, best))
    losses: tuple[list[float], list[float]] = ([], [])
    for turn in range(CONFIRMING_SEEDS):
        for settings, own in zip(chosen, losses, strict=True):
            own.append(train(settings, seed + 1 + turn, lambda epoch, loss: None))
            progress(f"confirm {model}", len(losses[0]) + len(losses[1]), 2 * CONFIRMING_SEEDS)
    return sum(losses[0]) / CONFIRMING_SEEDS, sum(losses[1]) / CONFIRMING_SEEDS


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Without those that were killed half-way, which say nothing."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))


def _trial(trial: FrozenTrial) -> Trial:
    losses = list(trial.intermediate_values.values())
    loss = trial.value if trial.state == TrialState.COMPLETE else min(losses, default=None)
    return Trial(trial.number, dict(trial.params), trial.state.name.lower(), loss)
