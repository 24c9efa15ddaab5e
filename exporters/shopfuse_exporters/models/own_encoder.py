"""The text encoder that a shop trains on its own texts: learned, tried and kept with the shop's other checkpoints.

Beside the weights lies how it did against words alone, and which encoder it was to stand in for: what encodes or tunes
between two builds takes the encoder that the last build took.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.own_encoder import OWN_META, own_meta
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.examples.text_pairs import text_pairs
from shopfuse.training.models.subword_encoder import save_subword_encoder
from shopfuse.training.models.text_encoder import CATALOGUE, LoadedTextEncoder, load_text_encoder
from shopfuse.training.trainers.subword_encoder import train_subword_encoder
from shopfuse_exporters.encoding.trial import Encode, EncoderTrial, Withheld, hold_out, read_trial, try_encoder


@dataclass(frozen=True, slots=True)
class Learned:
    loaded: LoadedTextEncoder
    held_out: Withheld
    metrics: dict[str, Any]  # of its training


def learn_encoder(
    workspace: Workspace, catalogue: Catalogue, seed: int, must_be: bool, progress: Progress
) -> Learned | None:
    """Trained and saved, but not tried yet. A shop too small to try it trains none, unless it `must_be` there."""
    led = load_event_log(workspace.events(), catalogue).led
    held_out = hold_out(catalogue, led, seed)
    if not held_out.are_enough:
        if not must_be:
            shutil.rmtree(workspace.paths.own_text_encoder, ignore_errors=True)
            return None
        held_out = Withheld([])
    pairs = text_pairs(catalogue, led, held_out.rows, held_out.searches, seed)
    trained = train_subword_encoder(pairs, seed=seed, progress=progress)
    folder = workspace.paths.own_text_encoder
    meta = _meta(workspace, trained.metrics, None)
    save_subword_encoder(folder, trained.encoder, trained.tokenizer, meta)
    return Learned(_loaded(folder), held_out, trained.metrics)


def try_own_encoder(
    folder: Path, catalogue: Catalogue, learned: Learned, encode: Encode, progress: Progress
) -> EncoderTrial:
    """`encode` is what will be served."""
    try:
        return try_encoder(folder, catalogue, learned.held_out, encode, learned.metrics, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def record_trial(workspace: Workspace, learned: Learned, trial: EncoderTrial) -> None:
    meta = _meta(workspace, learned.metrics, trial)
    write_text(workspace.paths.own_text_encoder / OWN_META, json.dumps(meta, indent=2, sort_keys=True) + "\n")


def known_encoder(workspace: Workspace, must_be: bool) -> tuple[LoadedTextEncoder | None, EncoderTrial | None]:
    """Those of the last training, where it trained one for these settings. Raises ShopfuseError where it `must_be`
    there and is not, or its record cannot be read."""
    folder, meta = workspace.paths.own_text_encoder, own_meta(workspace)
    if meta is None:
        if must_be:
            raise ShopfuseError(f"{folder}: no text encoder was trained on the catalogue yet; build with training")
        return None, None
    try:
        trial = read_trial(meta["trial"]) if meta["trial"] else None
    except (KeyError, TypeError) as error:
        raise ShopfuseError(
            f"{folder / OWN_META}: not the record of a text encoder ({error!r}); train it again"
        ) from error
    return _loaded(folder), trial


def _loaded(folder: Path) -> LoadedTextEncoder:
    return replace(load_text_encoder(str(folder)), source=CATALOGUE)


def _meta(workspace: Workspace, metrics: Mapping[str, Any], trial: EncoderTrial | None) -> dict[str, Any]:
    record = trial.record() if trial else None
    return {"asked_for": workspace.settings.text_encoder, "training": dict(metrics), "trial": record}
