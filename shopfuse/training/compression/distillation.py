"""Trains a student encoder to give its teacher's vectors, and to see the same texts as alike.

Two losses: the distance to the teacher's vector (Reimers and Gurevych, 2020; for vectors of length 1 the squared
distance is twice 1 - cosine), and the cross-entropy between both encoders' distributions over the batch's other texts
(SEED: Fang et al., 2021, within the batch). The student stays in evaluation mode: dropout is noise to a student whose
target is exact. Its embedding tables stay the teacher's: a word that no text of the shop holds keeps its meaning.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from shopfuse.core.progress import Progress, silent
from shopfuse.training.compression.shop_texts import QUERIES, ShopTexts, TextRows
from shopfuse.training.compression.token_batches import Tokeniser, encode
from shopfuse.training.trainers.early_stopping import EarlyStopping
from shopfuse.training.trainers.learning_rate import warm_up_then_cosine

STAGE = "distil"


@dataclass(frozen=True, slots=True)
class Distillation:
    epochs: int
    batch: int = 32  # items; each brings its own text and its queries
    patience: int = 1  # epochs without a better validation loss
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    largest_gradient: float = 1.0
    temperature: float = 0.05
    likeness_weight: float = 0.1


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's vectors: items [n, D] and queries [QUERIES * n, D], aligned with TextRows."""

    items: Tensor
    queries: Tensor

    def take(self, rows: list[int]) -> Tensor:
        """Those of a batch, items first: [(1 + QUERIES) * rows, D]."""
        queries = [QUERIES * row + place for row in rows for place in range(QUERIES)]
        return torch.cat([self.items[rows], self.queries[queries]])


def targets_of(teacher: nn.Module, tokeniser: Tokeniser, rows: TextRows, progress: Progress = silent) -> Targets:
    vectors = encode(teacher, tokeniser, [*rows.items, *rows.queries], progress, "teacher's vectors")
    return Targets(vectors[: len(rows)], vectors[len(rows) :])


def distil(
    student: nn.Module,
    tokeniser: Tokeniser,
    texts: ShopTexts,
    targets: Targets,
    held_out: Targets,
    *,
    seed: int,
    settings: Distillation,
    progress: Progress = silent,
) -> dict[str, float]:
    """Trains `student` in place and gives metrics; it keeps the weights of its best epoch, or those it came with."""
    for parameter in student.encoder.embeddings.parameters():  # type: ignore[union-attr]
        parameter.requires_grad_(False)
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    steps = -(-len(texts.training) // settings.batch)
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = warm_up_then_cosine(optimizer, steps * settings.epochs)
    stopping = EarlyStopping({"student": student}, settings.patience)
    first = _validation_loss(student, tokeniser, texts.held_out, held_out, settings)
    stopping.should_stop(first)
    rng = random.Random(seed)
    for epoch in range(settings.epochs):
        order = rng.sample(range(len(texts.training)), len(texts.training))
        for step in range(steps):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            vectors = _vectors(student, tokeniser, texts.training.take(rows))
            loss = _loss(vectors, targets.take(rows).to(vectors.device), settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, settings.largest_gradient)
            optimizer.step()
            schedule.step()
            progress(STAGE, epoch * steps + step + 1, steps * settings.epochs)
        if stopping.should_stop(_validation_loss(student, tokeniser, texts.held_out, held_out, settings)):
            break
    stopping.restore()
    return {"first_loss": first, "validation_loss": stopping.best, "epochs": float(stopping.epochs - 1)}


def _vectors(student: nn.Module, tokeniser: Tokeniser, rows: TextRows) -> Tensor:
    """The student's vectors, items first; apart, for queries are short and would be padded to the items' length."""
    parts = (tokeniser.tokens(texts) for texts in (rows.items, rows.queries))
    return torch.cat([part.through(student) for part in parts])


def _loss(student: Tensor, teacher: Tensor, settings: Distillation) -> Tensor:
    """Of vectors [B, D] of length 1."""
    distance = 1 - (student * teacher).sum(-1).mean()
    seen, wanted = (_likeness(vectors, settings.temperature) for vectors in (student, teacher))
    return distance + settings.likeness_weight * kl_div(seen, wanted, reduction="batchmean", log_target=True)


def _likeness(vectors: Tensor, temperature: float) -> Tensor:
    """Logarithms of each text's distribution over the other texts, [B, B - 1]: the nearer, the likelier."""
    others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    scores = (vectors @ vectors.T / temperature)[others].view(len(vectors), len(vectors) - 1)
    return log_softmax(scores, dim=-1)


@torch.no_grad()
def _validation_loss(
    student: nn.Module, tokeniser: Tokeniser, rows: TextRows, targets: Targets, settings: Distillation
) -> float:
    """The mean loss of the held-out texts, in the same batches every time."""
    total = 0.0
    for start in range(0, len(rows), settings.batch):
        chosen = list(range(start, min(start + settings.batch, len(rows))))
        vectors = _vectors(student, tokeniser, rows.take(chosen))
        loss = _loss(vectors, targets.take(chosen).to(vectors.device), settings)
        total += float(loss) * len(chosen)
    return total / len(rows)
