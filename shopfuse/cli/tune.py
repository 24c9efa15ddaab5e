"""`shopfuse tune`: better settings of training for one shop, searched on its own events."""

from __future__ import annotations

from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.training.trainers.tuned_settings import read_tuned
from shopfuse.training.tuning.search import Budget, SearchResult, Trial, default_values
from shopfuse.training.tuning.tasks import TRIALS, tune_model
from shopfuse_exporters.models.shop import load_shop_data

BEST = 8  # trials of a table, the best
ALL = ",".join(TRIALS)

TrialsOption = Annotated[
    int, typer.Option(min=1, max=10_000, help="Trials of each model, those of earlier runs included.")
]
MinutesOption = Annotated[float | None, typer.Option(min=0.01, max=10_000, help="Time for the trials of each model.")]
ModelsOption = Annotated[str, typer.Option(help="Models to tune, separated by commas.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the search and of every trial's training.")]


def tune(
    workspace: WorkspaceOption,
    trials: TrialsOption = 30,
    minutes: MinutesOption = None,
    models: ModelsOption = ALL,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Search settings of training on the shop's events, and keep for the next build those that prove better.

    shopfuse tune -w myshop --trials 40 --minutes 30

    Settings are judged on the newest events, which no trial learns from. A run that was stopped goes on where it was.
    """
    names = parse_models(models)
    with progress_bars() as progress:
        shop = Workspace.open(workspace)
        with workspace_lock(shop.root):
            data = load_shop_data(shop, seed, progress)
            results = [tune_model(shop, name, data, Budget(trials, minutes), progress) for name in names]
    if json:
        print_json({"rows": {result.model: _row(result) for result in results}, "file": str(shop.paths.tuned)})
        return
    for result in results:
        report(result)
    if read_tuned(shop.root):
        out.print(f"'shopfuse build' trains with {shop.paths.tuned} from now on; remove it to go back to the defaults")


def parse_models(text: str) -> list[str]:
    """The names, in the order in which they feed each other. Raises BadParameter for an unknown one."""
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(TRIALS)):
        raise typer.BadParameter(f"--models {unknown[0]!r}: expected one or more of {', '.join(TRIALS)}")
    return [name for name in TRIALS if name in names]


def report(result: SearchResult) -> None:
    """The best trials as a table, and what became of the best one."""
    ended = sorted((trial for trial in result.trials if trial.loss is not None), key=_by_loss)
    rows = [[trial.number, trial.state, trial.loss, _changes(result.model, trial)] for trial in ended[:BEST]]
    title = f"{result.model}: the best of {len(result.trials)} trials"
    print_table(title, ("trial", "end", "loss", "settings other than the defaults"), rows)
    out.print(verdict(result))


def verdict(result: SearchResult) -> str:
    if result.confirmed is None:
        return f"{result.model}: no trial was better than the defaults, which stay"
    defaults, best = result.confirmed
    outcome = "adopted" if result.adopted else "not adopted: the defaults stay"
    losses = f"a validation loss of {best:.5g}, the defaults {defaults:.5g}"
    return f"{result.model}: on fresh seeds the best settings reach {losses}; {outcome}"


def _changes(model: str, trial: Trial) -> str:
    defaults = default_values(model)
    changed = {name: value for name, value in trial.values.items() if value != defaults[name]}
    return ", ".join(f"{name} {value:.3g}" for name, value in changed.items()) or "none"


def _by_loss(trial: Trial) -> tuple[bool, float]:
    return trial.state != "complete", trial.loss if trial.loss is not None else float("inf")


def _row(result: SearchResult) -> dict[str, object]:
    return {
        "trials": len(result.trials),
        "best": result.best,
        "defaults": default_values(result.model),
        "confirmed": result.confirmed and dict(zip(("defaults", "best"), result.confirmed, strict=True)),
        "adopted": result.adopted,
    }
