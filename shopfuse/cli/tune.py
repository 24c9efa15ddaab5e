"""`shopfuse tune`: better settings of training for one shop, searched on its own events."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.provenance import data_hash
from shopfuse.training.data.user_histories import user_histories
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse.training.trainers.shop import ShopData, enough_to_train
from shopfuse.training.trainers.tuned_settings import read_tuned, settings_of, write_tuned
from shopfuse.training.tuning.search import Budget, SearchResult, Trial, default_values, search
from shopfuse.training.tuning.tasks import TRIALS
from shopfuse_exporters.encoding.encoder import export_text_encoder, open_encoder
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.models.shop import load_catalogue_of

SHOWN = 8  # trials of a table, the best
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
            data = read_shop(shop, seed, progress)
            found = [tune_model(shop, name, data, Budget(trials, minutes), progress) for name in names]
    if json:
        print_json({"rows": {result.model: _row(result) for result in found}, "file": str(shop.paths.tuned)})
        return
    for result in found:
        report(result)
    if read_tuned(shop.root):
        out.print(f"'shopfuse build' trains with {shop.paths.tuned} from now on; remove it to go back to the defaults")


def parse_models(text: str) -> list[str]:
    """The names, in the order in which they feed each other. Raises BadParameter for an unknown one."""
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(TRIALS)):
        raise typer.BadParameter(f"--models {unknown[0]!r}: expected one or more of {', '.join(TRIALS)}")
    return [name for name in TRIALS if name in names]


def read_shop(shop: Workspace, seed: int, progress: Progress) -> ShopData:
    """Catalogue, events and text embeddings, as a build reads them.

    Raises TunedError for a file of settings that cannot be used, ShopfuseError where there is too little to learn from.
    """
    settings = settings_of(shop.root)
    catalogue = load_catalogue_of(shop)
    log = load_event_log(shop.events(), catalogue)
    if not enough_to_train(log):
        raise ShopfuseError(f"{shop.root}: too few events to train on, so that there is nothing to tune")
    loaded = load_text_encoder(shop.settings.text_encoder)
    progress("export text_encoder", 0, 0)
    encoder = open_encoder(shop, loaded, export_text_encoder(shop, loaded))
    vectors, _ = encode_texts(catalogue.texts(), encoder.encoding, encoder.cache, progress)
    histories = user_histories(log.events, len(log.users))
    encode = encoder.encoding.encode
    return ShopData(shop, catalogue, log, histories, vectors.astype(np.float32), encode, seed, progress, settings)


def tune_model(shop: Workspace, name: str, data: ShopData, budget: Budget, progress: Progress) -> SearchResult:
    """Searches one model's settings and writes them down where they prove better, else removes older ones."""
    data = replace(data, settings=settings_of(shop.root))
    train = TRIALS[name](data)
    study = f"{name} {data_hash(shop)[:16]} seed {data.seed}"
    found = search(name, study, train, shop.paths.trials(name), budget, seed=data.seed, progress=progress)
    tables = {model: values for model, values in read_tuned(shop.root).items() if model != name}
    write_tuned(shop.root, {**tables, **({name: found.best} if found.adopted else {})})
    return found


def report(found: SearchResult) -> None:
    """The best trials as a table, and what became of the best one."""
    ended = sorted((trial for trial in found.trials if trial.loss is not None), key=_by_loss)
    rows = [[trial.number, trial.state, trial.loss, _changes(found.model, trial)] for trial in ended[:SHOWN]]
    title = f"{found.model}: the best of {len(found.trials)} trials"
    print_table(title, ("trial", "end", "loss", "settings other than the defaults"), rows)
    out.print(verdict(found))


def verdict(found: SearchResult) -> str:
    if found.confirmed is None:
        return f"{found.model}: no trial was better than the defaults, which stay"
    defaults, best = found.confirmed
    outcome = "adopted" if found.adopted else "not adopted: the defaults stay"
    losses = f"a validation loss of {best:.5g}, the defaults {defaults:.5g}"
    return f"{found.model}: on fresh seeds the best settings reach {losses}; {outcome}"


def _changes(model: str, trial: Trial) -> str:
    defaults = default_values(model)
    changed = {name: value for name, value in trial.values.items() if value != defaults[name]}
    return ", ".join(f"{name} {value:.3g}" for name, value in changed.items()) or "none"


def _by_loss(trial: Trial) -> tuple[bool, float]:
    return trial.state != "complete", trial.loss if trial.loss is not None else float("inf")


def _row(found: SearchResult) -> dict[str, object]:
    return {
        "trials": len(found.trials),
        "best": found.best,
        "defaults": default_values(found.model),
        "confirmed": None if found.confirmed is None else dict(zip(("defaults", "best"), found.confirmed, strict=True)),
        "adopted": found.adopted,
    }
