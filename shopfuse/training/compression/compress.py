"""Makes a shop's text encoder smaller, by pruning or by distillation, and writes the result as a checkpoint.

What comes out becomes the shop's encoder like any other: by its folder in shop.toml, through the same checks.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from shopfuse.core.atomic_files import atomic_folder
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.checkpoints.files import META
from shopfuse.training.checkpoints.own_encoder import encoder_name
from shopfuse.training.compression.bert_layers import bert_layers, ffn_size, with_layers
from shopfuse.training.compression.distillation import Distillation, Targets, distil, targets_of
from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.compression.ffn_pruning import pruned
from shopfuse.training.compression.shop_texts import ShopTexts, shop_texts
from shopfuse.training.compression.token_batches import Tokeniser, Tokens, encode
from shopfuse.training.models.text_encoder import LoadedTextEncoder, PooledEncoder, load_text_encoder
from shopfuse.training.trainers.loop import best_hardware

PRUNE, DISTILL = "prune", "distill"
NEAREST = 10
TOKENIZER = "tokenizer.json"
_JUDGED_ON = 500  # items and their queries, to rank neurons by

MakeStudent = Callable[[LoadedTextEncoder, Tokeniser, ShopTexts], PooledEncoder]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to train: on at most `items` items, `epochs` times."""

    epochs: int
    items: int = 12_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("items", 1)):
            if getattr(self, name) < least:
                raise CompressionError(f"{name}: expected {least} or more, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Compressed:
    """Teacher and student, to be measured side by side, and what the student's meta.json says."""

    teacher: LoadedTextEncoder
    student: LoadedTextEncoder
    meta: Mapping[str, Any]


def prune_encoder(
    workspace: Workspace, folder: Path, keep: float, effort: Effort, progress: Progress = silent
) -> Compressed:
    """The workspace's text encoder with the share `keep` of its feed-forward neurons, written to `folder`.

    Distillation from the original makes up for the loss; without epochs it stays at the least squares fit.
    Raises CompressionError, with nothing written, for a value, folder, catalogue or encoder that does not do.
    """

    def student(teacher: LoadedTextEncoder, tokeniser: Tokeniser, texts: ShopTexts) -> PooledEncoder:
        rows = texts.training.take(list(range(min(_JUDGED_ON, len(texts.training)))))
        return pruned(teacher, keep, _batches(tokeniser, [*rows.items, *rows.queries], progress))

    return _compress(workspace, folder, PRUNE, student, effort, progress)


def distill_encoder(
    workspace: Workspace, folder: Path, layers: int, effort: Effort, progress: Progress = silent
) -> Compressed:
    """An encoder of `layers` layers, taken evenly from the workspace's text encoder and trained to give its vectors.

    Raises CompressionError, with nothing written, for a value, folder, catalogue or encoder that does not do.
    """

    def student(teacher: LoadedTextEncoder, _tokeniser: Tokeniser, _texts: ShopTexts) -> PooledEncoder:
        return with_layers(teacher, layers)

    return _compress(workspace, folder, DISTILL, student, effort, progress)


def _compress(
    workspace: Workspace, folder: Path, command: str, make: MakeStudent, effort: Effort, progress: Progress
) -> Compressed:
    _check_folder(folder, command)
    teacher = _teacher(workspace, folder)
    tokeniser = Tokeniser.of(teacher)
    texts = shop_texts(workspace, effort.items, effort.seed)
    torch.manual_seed(effort.seed)
    student = make(teacher, tokeniser, texts)
    held_out = targets_of(teacher.module, tokeniser, texts.held_out)
    metrics = _train(student, teacher, tokeniser, texts, held_out, effort, progress)
    metrics |= _fidelity(student, tokeniser, texts, held_out)
    for module in (student, teacher.module):
        module.cpu()
    meta = _meta(command, teacher, student, texts, effort, metrics)
    _write(folder, student.encoder, teacher.tokenizer_json, meta)
    return Compressed(teacher, load_text_encoder(str(folder.absolute())), meta)


def _teacher(workspace: Workspace, folder: Path) -> LoadedTextEncoder:
    """The workspace's encoder, frozen, on the best hardware. It may not be what a former run wrote to `folder`."""
    name = encoder_name(workspace)
    if Path(name).is_dir() and Path(name).resolve() == folder.resolve():
        raise CompressionError(f"{folder}: is the workspace's text_encoder itself; set the original one in shop.toml")
    teacher = load_text_encoder(name)
    bert_layers(teacher.module, teacher.source)  # another architecture is refused before any work
    teacher.module.requires_grad_(False).to(best_hardware().device)
    return teacher


def _batches(tokeniser: Tokeniser, texts: list[str], progress: Progress) -> Iterator[Tokens]:
    done = 0
    for places, tokens in tokeniser.batches(texts):
        yield tokens
        done += len(places)
        progress("rank neurons", done, len(texts))


def _train(
    student: nn.Module,
    teacher: LoadedTextEncoder,
    tokeniser: Tokeniser,
    texts: ShopTexts,
    held_out: Targets,
    effort: Effort,
    progress: Progress,
) -> dict[str, float]:
    if effort.epochs == 0:
        return {}
    student.requires_grad_(True)
    targets = targets_of(teacher.module, tokeniser, texts.training, progress)
    settings = Distillation(effort.epochs)
    metrics = distil(
        student, tokeniser, texts, targets, held_out, seed=effort.seed, settings=settings, progress=progress
    )
    student.requires_grad_(False)
    return metrics


def _fidelity(student: nn.Module, tokeniser: Tokeniser, texts: ShopTexts, held_out: Targets) -> dict[str, float]:
    """On the held-out items, and those of their queries that training has not met (all where it met every one)."""
    rows = texts.held_out
    places = [place for place, query in enumerate(rows.queries) if query in texts.unseen_queries]
    places = places or list(range(len(rows.queries)))
    items = encode(student, tokeniser, rows.items)
    queries = encode(student, tokeniser, [rows.queries[place] for place in places])
    return fidelity(items, held_out.items, queries, held_out.queries[places])


def fidelity(
    student_items: Tensor, teacher_items: Tensor, student_queries: Tensor, teacher_queries: Tensor
) -> dict[str, float]:
    """How much of its teacher a student is: cosines of their vectors, and how many of the nearest items they share.

    Vectors of length 1, items [n, D] and queries [q, D]; each encoder searches among its own item vectors.
    """
    cosines = (torch.cat([student_items, student_queries]) * torch.cat([teacher_items, teacher_queries])).sum(-1)
    count = min(NEAREST, len(teacher_items))
    nearest, wanted = _nearest(student_queries, student_items, count), _nearest(teacher_queries, teacher_items, count)
    shared = (nearest.unsqueeze(-1) == wanted.unsqueeze(-2)).any(-1).float().mean()  # [q, count, count] -> []
    return {"cosine_mean": float(cosines.mean()), "cosine_min": float(cosines.min()), "overlap@10": float(shared)}


def _nearest(queries: Tensor, items: Tensor, count: int) -> Tensor:
    """The rows of the nearest items, [q, count]."""
    return torch.topk(queries @ items.T, count, dim=-1).indices


def _meta(
    command: str,
    teacher: LoadedTextEncoder,
    student: nn.Module,
    texts: ShopTexts,
    effort: Effort,
    metrics: dict[str, float],
) -> dict[str, Any]:
    """How the result was made; nothing in it depends on when or how fast."""
    return {
        "compression": command,
        "teacher": teacher.source,
        "layers": [len(bert_layers(module, teacher.source)) for module in (teacher.module, student)],
        "ffn": [ffn_size(module, teacher.source) for module in (teacher.module, student)],
        "seed": effort.seed,
        "data": hashlib.sha256(json.dumps([asdict(texts.training), asdict(texts.held_out)]).encode()).hexdigest(),
        "training_items": len(texts.training),
        "held_out_items": len(texts.held_out),
        "training": asdict(Distillation(effort.epochs)),
        "metrics": metrics,
    }


def _check_folder(folder: Path, command: str) -> None:
    """Raises CompressionError where `folder` is taken by something else than an earlier result of `command`."""
    if not (folder.exists() or folder.is_symlink()):
        return
    if not folder.is_dir() or folder.is_symlink():
        raise CompressionError(f"{folder}: a file or link of this name is in the way")
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        meta = None
    if not isinstance(meta, dict) or meta.get("compression") != command:
        raise CompressionError(
            f"{folder}: exists already and holds no earlier result of '{command}'; name a new folder"
        )


def _write(folder: Path, encoder: nn.Module, tokenizer: Path, meta: Mapping[str, Any]) -> None:
    """Writes config.json, model.safetensors, tokenizer.json and meta.json, replacing an earlier result."""
    try:
        with atomic_folder(folder) as staging:
            encoder.save_pretrained(staging, max_shard_size="1TB")  # type: ignore[operator]
            shutil.copyfile(tokenizer, staging / TOKENIZER)
            (staging / META).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise CompressionError(f"{folder}: cannot be written ({error})") from error
