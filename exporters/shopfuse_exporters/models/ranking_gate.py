"""Does a model rank as its torch module does? What a release is for, asked before it can be published.

The text encoder finds items of a sample of the catalogue for the golden queries, the fusion ranker orders candidate
lists. A mean over many queries: it sees a small loss everywhere, which no single vector shows, and forgives a large one
in a vector that no ranking shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from shopfuse.inference.text_encoding import TextEncoding, padded
from shopfuse.ranking.tensors import LENGTH_BUCKETS, TASKS, Arrays, bucket
from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.models.exporter import ExportedModel
from shopfuse_exporters.models.golden_queries import spread
from shopfuse_exporters.models.text_encoder import EncodedTexts
from shopfuse_exporters.verify.cases import Answer, RealInputs, real_batch, torch_answer
from shopfuse_exporters.verify.parity import accepted
from shopfuse_exporters.verify.ranking import RankingReport, compare_rankings
from shopfuse_exporters.verify.tolerances import ranking_bound
from shopfuse_exporters.verify.verified_model import VerifiedModel

# Torch needs 9 ms for a text on one core. More items say little more: the loss of int8 is 0.004 for 600 items and
# 0.004 for 19,406, the overlap 0.89 and 0.85.
ITEMS = 300
ROWS_AT_ONCE = 16
BATCHES = 4
SEED = 22


@dataclass(frozen=True, slots=True)
class GatedModels:
    """All models of a release by name, found good; `tokens` are those of the golden queries that they were asked."""

    exported: Mapping[str, ExportedModel]
    tokens: Sequence[Sequence[int]]

    @property
    def verified(self) -> dict[str, VerifiedModel]:
        return {name: one.verified for name, one in self.exported.items()}

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {name: one.module for name, one in self.exported.items()}

    @property
    def real_inputs(self) -> dict[str, RealInputs]:
        return {name: one.real for name, one in self.exported.items()}

    @property
    def kept_in_fp32(self) -> dict[str, str]:
        """Model -> why it could not be had in the precision that was asked for."""
        return {name: one.kept_in_fp32 for name, one in self.exported.items() if one.kept_in_fp32}


def gate_rankings(
    exported: Iterable[ExportedModel],
    texts: EncodedTexts,
    queries: Sequence[str],
    tasks: Mapping[str, float],
    accepted: Mapping[str, str],
) -> GatedModels:
    """Adds to the reports of the models that rank how they rank. Raises ParityError where they lose too much and
    `accepted` gives no reason for that model."""
    models = {one.name: one for one in exported}
    encoder, ranker = models["text_encoder"], models["fusion_ranker"]
    tokenizer, sample = texts.encoder.tokenizer, texts.catalogue.texts()
    gated_encoder = gate_texts(encoder.verified, encoder.module, tokenizer, queries, sample, accepted.get(encoder.name))
    gated_ranker = gate_lists(ranker.verified, ranker.module, ranker.real, tasks, accepted.get(ranker.name))
    models[encoder.name] = replace(encoder, verified=gated_encoder)
    models[ranker.name] = replace(ranker, verified=gated_ranker)
    return GatedModels(models, texts.encoder.encoding.tokens(queries))


def gate_texts(
    verified: VerifiedModel,
    module: nn.Module,
    tokenizer: Tokenizer,
    queries: Sequence[str],
    texts: Sequence[str],
    accept: str | None = None,
) -> VerifiedModel:
    """The text encoder with a report that holds its rankings of a sample of the items' `texts` for the golden queries.

    Raises ParityError where they lose more than the precision may, unless `accept` gives a reason, and for an empty
    golden set always.
    """
    if not queries or not texts:
        raise ParityError(
            f"{verified.declaration.name}: the golden set is empty: {len(queries)} queries, {len(texts)} items"
        )
    sample = spread(list(dict.fromkeys(texts)), ITEMS)
    encoding = TextEncoding(verified.open(), tokenizer)
    query_tokens, item_tokens = encoding.tokens(queries), encoding.tokens(sample)
    reference = torch_answer(verified.declaration, module)
    expected = _encoded(reference, query_tokens) @ _encoded(reference, item_tokens).T  # [queries, items]
    actual = _as_served(verified.open().run, query_tokens) @ encoding.encode(sample).T
    return _with_ranking(verified, compare_rankings(verified.declaration.name, queries, expected, actual), accept)


def gate_lists(
    verified: VerifiedModel,
    module: nn.Module,
    real_inputs: RealInputs,
    tasks: Mapping[str, float],
    accept: str | None = None,
) -> VerifiedModel:
    """The fusion ranker with a report that holds its order of candidate lists made from `real_inputs`; `tasks` are the
    weights that make one score of its probabilities. Raises ParityError as gate_texts does."""
    name, weights = verified.declaration.name, np.array([tasks.get(task, 0.0) for task in TASKS])
    if not real_inputs or not weights.any():
        raise ParityError(f"{name}: the golden set is empty: {len(real_inputs)} real inputs, tasks {dict(tasks)}")
    reference, served = torch_answer(verified.declaration, module), verified.open().run
    rng = np.random.default_rng(SEED)
    drawn = [
        real_batch(verified.declaration, real_inputs, verified.declaration.max_batch, rng)[0] for _ in range(BATCHES)
    ]
    expected, actual = (
        np.concatenate([_scores(answer, lists, weights) for lists in drawn]) for answer in (reference, served)
    )
    report = compare_rankings(name, [f"list {place}" for place in range(len(expected))], expected, actual)
    return _with_ranking(verified, report, accept)


def _scores(answer: Answer, lists: Arrays, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[lists, candidates] without padding; all lists of the real inputs have as many candidates."""
    candidates = int(lists["candidate_mask"][0].sum())
    return answer(lists)["task_probabilities"][:, :candidates].astype(np.float64) @ weights


def _with_ranking(verified: VerifiedModel, ranking: RankingReport, accept: str | None) -> VerifiedModel:
    report = replace(verified.report, ranking=ranking)
    if excess := ranking.excess(ranking_bound(verified.precision)):
        problem = (
            f"{report.model}: in {report.precision} it ranks {ranking.queries} golden queries differently: {excess}"
        )
        report = accepted(replace(report, passed=False, problem=report.problem or problem), accept)
    return replace(verified, report=report)


def _encoded(answer: Answer, tokens: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """[n, dims], a few texts of one length at a time; for torch, whose rows do not depend on each other."""
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    parts = [order[start : start + ROWS_AT_ONCE] for start in range(0, len(order), ROWS_AT_ONCE)]
    vectors = np.concatenate([_embedding(answer(padded([tokens[place] for place in part]))) for part in parts])
    return vectors[np.argsort(order, kind="stable")]


def _as_served(answer: Answer, tokens: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """[n, dims]: each query alone and padded to its bucket, as it comes from a gateway."""
    rows = [answer(padded([ids], bucket(len(ids), LENGTH_BUCKETS))) for ids in tokens]
    return np.concatenate([_embedding(row) for row in rows])


def _embedding(answer: Arrays) -> NDArray[np.float64]:
    return answer["text_embedding"].astype(np.float64)
