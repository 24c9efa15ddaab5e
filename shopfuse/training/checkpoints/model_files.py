"""The models of one training on disk: checkpoints of the modules, and the items' behaviour embeddings by item id.

They belong together: a folder that holds parts of two trainings is refused. A release is built from them, today or
after the catalogue has changed, without training anew.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from shopfuse.core.atomic_files import atomic_file
from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import TOKEN
from shopfuse.training.checkpoints.files import META, WEIGHTS, load_checkpoint, save_checkpoint
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.models.fitted_towers import FittedItemTower, FittedQueryTower, FittedUserTower
from shopfuse.training.models.image_encoder import ImageEncoder, blocks_of
from shopfuse.training.models.image_tower import ImageTower
from shopfuse.training.models.towers import ItemTower, QueryTower, UserTower
from shopfuse.training.models.vision_tower import VisionTower, empty_tower

Weights = Mapping[str, torch.Tensor]
REQUIRED = ("query_tower", "item_tower", "user_tower", "fusion_ranker")
IMAGES = ("image_encoder", "image_tower")  # of a shop with images
BEHAVIOUR = "behaviour.parquet"
# A module of the class that meta.json names, as wide as its weights.
EMPTY: dict[str, Callable[[Weights, dict[str, Any]], nn.Module]] = {
    "FittedQueryTower": lambda weights, _: FittedQueryTower(weights["projection"].numpy()),
    "FittedItemTower": lambda weights, _: FittedItemTower(weights["projection"].numpy()),
    "FittedUserTower": lambda *_: FittedUserTower(),
    "ImageTower": lambda weights, _: ImageTower(weights["projection.weight"].shape[1]),
    "QueryTower": lambda weights, _: QueryTower(weights["straight.weight"].shape[1]),
    "ItemTower": lambda weights, _: ItemTower(weights["text.0.weight"].shape[1], weights["image.0.weight"].shape[1]),
    "UserTower": lambda *_: UserTower(),
    "FusionRanker": lambda _, meta: FusionRanker(meta["fusion"]),
    "ImageEncoder": lambda weights, _: ImageEncoder(blocks_of(weights)),
    "VisionTower": lambda _, meta: empty_tower(meta["config"]),
}


def save_models(folder: Path, models: ShopModels, item_ids: Sequence[str], seed: int) -> None:
    """Writes all parts, the embeddings with their items' ids. Until it has ended, what is there is refused."""
    run = secrets.token_hex(8)
    meta = {
        "run": run,
        "seed": seed,
        "fusion": models.fusion,
        "tasks": models.tasks,
        "ranks_similar": models.ranks_similar,
        "scenes": list(models.scenes),
        "image": {"dim": models.image_dim, "size": models.image_size, "source": models.image_source},
        "metrics": models.metrics,
        "made_by": models.made_by,
    }
    _write_behaviour(folder / BEHAVIOUR, models, item_ids, run)
    for name in IMAGES if models.image_encoder is None else ():
        (folder / name / META).unlink(missing_ok=True)
    for name, module in models.modules.items():
        own = {"config": module.config} if isinstance(module, VisionTower) else {}
        save_checkpoint(folder / name, module, {**meta, **own, "class": type(module).__name__})


def load_models(folder: Path, item_ids: Sequence[str]) -> ShopModels:
    """The models of the last training. Items that it did not know have no behaviour embedding.

    Raises ShopfuseError naming the file that is missing, is not safetensors, has other tensors than its class, or
    comes from another training.
    """
    names = [*REQUIRED, *(name for name in IMAGES if (folder / name / META).is_file())]
    if len(lonely := [name for name in IMAGES if name in names]) == 1:
        raise ShopfuseError(f"{folder}: expected {' and '.join(IMAGES)}, found {lonely[0]} alone; train again")
    loaded = {name: _load(folder / name) for name in names}
    modules = {name: module for name, (module, _) in loaded.items()}
    meta = loaded["fusion_ranker"][1]
    runs = {name: own.get("run") for name, (_, own) in loaded.items()}
    embeddings, present, runs[BEHAVIOUR] = _read_behaviour(folder / BEHAVIOUR, item_ids)
    if len(set(runs.values())) != 1:
        raise ShopfuseError(f"{folder}: parts of different trainings ({runs}); train again")
    try:
        return ShopModels(
            query_tower=modules["query_tower"],
            item_tower=modules["item_tower"],
            user_tower=modules["user_tower"],
            fusion_ranker=modules["fusion_ranker"],
            image_encoder=modules.get("image_encoder"),
            image_tower=modules.get("image_tower"),
            image_dim=meta["image"]["dim"],
            image_size=meta["image"]["size"],
            image_source=meta["image"]["source"],
            behaviour_embeddings=embeddings,
            behaviour_present=present,
            scenes=tuple(meta["scenes"]),
            tasks=meta["tasks"],
            fusion=meta["fusion"],
            ranks_similar=meta["ranks_similar"],
            metrics=meta["metrics"],
            made_by={**meta["made_by"], "training_run": meta["run"]},
        )
    except KeyError as error:
        raise ShopfuseError(f"{folder}: made by another version, which did not write {error}; train again") from error


def _load(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
        module = EMPTY[meta["class"]](weights, meta)
    except FileNotFoundError as error:
        raise ShopfuseError(f"{error.filename or folder / WEIGHTS}: missing; train the shop first") from error
    except SafetensorError as error:
        raise ShopfuseError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from error
    except (OSError, ValueError) as error:
        raise ShopfuseError(f"{folder / META}: not the meta data of a checkpoint ({error})") from error
    except (KeyError, TypeError, IndexError, ShopfuseError) as error:
        raise ShopfuseError(f"{folder}: not a checkpoint of a known class: {error!r} is missing or wrong") from error
    return module.eval(), load_checkpoint(folder, module)


def _write_behaviour(path: Path, models: ShopModels, item_ids: Sequence[str], run: str) -> None:
    rows = np.flatnonzero(models.behaviour_present)
    frame = pl.DataFrame(
        {"item_id": [item_ids[row] for row in rows.tolist()], "embedding": models.behaviour_embeddings[rows]},
        schema={"item_id": pl.String, "embedding": pl.Array(pl.Float32, TOKEN)},
    )
    with atomic_file(path) as staged:
        frame.write_parquet(staged, metadata={"run": run})


def _read_behaviour(path: Path, item_ids: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_], str]:
    """(embeddings [N, TOKEN], which items have one [N], the training they come from)."""
    try:
        known, run = pl.read_parquet(path, columns=["item_id", "embedding"]), pl.read_parquet_metadata(path)["run"]
    except FileNotFoundError as error:
        raise ShopfuseError(f"{path}: missing; train the shop first") from error
    except (PolarsError, OSError, KeyError) as error:
        raise ShopfuseError(f"{path}: not the embeddings of items ({error})") from error
    places = {item_id: row for row, item_id in enumerate(item_ids)}
    held = np.array([places.get(item_id, -1) for item_id in known["item_id"].to_list()], np.int64)
    embeddings, present = np.zeros((len(item_ids), TOKEN), np.float32), np.zeros(len(item_ids), np.bool_)
    embeddings[held[held >= 0]] = known["embedding"].to_numpy()[held >= 0]
    present[held[held >= 0]] = True
    return embeddings, present, run
