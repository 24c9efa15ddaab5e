"""What a search trains: the towers or the ranker of a shop, on data that is prepared once for all trials.

The ranker's lists are replayed with towers that are trained first, with the settings that were found for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.cut import cut_moment
from shopfuse.training.data.provenance import data_hash
from shopfuse.training.trainers.ranker import train_ranker
from shopfuse.training.trainers.shop import (
    ShopData,
    encode_queries,
    lists_after,
    logged_lists,
    tower_task,
    train_content,
)
from shopfuse.training.trainers.towers import train_towers
from shopfuse.training.trainers.tuned_settings import TrainingSettings, read_tuned, settings_of, write_tuned
from shopfuse.training.tuning.search import Budget, SearchResult, Train, Watch, search

METHOD = "attention"  # the ranker whose settings are searched; the others of its kind use the same


def tower_trials(data: ShopData) -> Train:
    """Trains towers alone; the image encoder is trained once, before."""
    _, task = tower_task(data, cut_moment(data.log), encode_queries(data))
    if int(task.settings.validation_share * len(task.examples)) == 0:
        raise ShopfuseError(f"tune towers: {len(task.examples)} clicks are too few to hold some out")

    def train(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        _, metrics = train_towers(replace(task, seed=seed, settings=settings.towers), watch=watch)
        return float(metrics["tower_validation_loss"])

    return train


def ranker_trials(data: ShopData) -> Train:
    """Trains rankers alone, on lists that are replayed once."""
    cut, queries = cut_moment(data.log), encode_queries(data)
    later, lists = lists_after(data, cut)
    if len(lists) < 10:
        raise ShopfuseError(f"tune ranker: {len(lists)} lists after the towers' clicks are too few to hold some out")
    trained = train_content(data, cut, queries)
    logged = logged_lists(later, cut, lists, queries, trained)

    def train(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        heads = trained.towers.heads
        _, _, metrics = train_ranker(
            METHOD, logged.data, logged.items, heads, seed=seed, settings=settings.ranker, watch=watch
        )
        return float(metrics[f"{METHOD}_validation_loss"])

    return train


TRIALS: dict[str, Callable[[ShopData], Train]] = {"towers": tower_trials, "ranker": ranker_trials}


def tune_model(shop: Workspace, name: str, data: ShopData, budget: Budget, progress: Progress) -> SearchResult:
    """Searches one model's settings and writes them down where they prove better, else removes older ones."""
    data = replace(data, settings=settings_of(shop.root))
    train = TRIALS[name](data)
    study = f"{name} {data_hash(shop)[:16]} seed {data.seed}"
    result = search(name, study, train, shop.paths.trials(name), budget, seed=data.seed, progress=progress)
    tables = {model: values for model, values in read_tuned(shop.root).items() if model != name}
    write_tuned(shop.root, {**tables, **({name: result.best} if result.adopted else {})})
    return result
