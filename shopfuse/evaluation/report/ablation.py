"""Section: what each modality is worth: taken away, alone, and with its embeddings shuffled over the items."""

from __future__ import annotations

from shopfuse.evaluation.report.bench import FUSED, SURFACES
from shopfuse.evaluation.report.context import SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.rankings import ScoredCases
from shopfuse.evaluation.report.section import Bars, Cell, Section, Table
from shopfuse.ranking.tensors import MODALITIES

_READING = (
    "The same models with a modality masked everywhere (item tower, ranker, and the channels and features that come "
    "from it), with all others masked, and with its embeddings permuted over the items that have one, while words, "
    "counts and rates stay. Nothing is retrained: this is what the models lose, not what a shop without the modality "
    "could reach. A modality earns its place where the fall without it is above 0; it is used where shuffling it hurts."
)


def ablation_section(context: ReportContext) -> Section:
    parts = [part for surface in SURFACES if (part := context.of(surface)) is not None]
    presence = context.bench.inputs.presence.mean(0).tolist()
    absent = [name for name, share in zip(MODALITIES, presence, strict=True) if share == 0]
    return Section(
        key="modalities",
        title="Modalities",
        reading=_READING,
        provenance=context.provenance(*(f"{len(part.cases)} cases of {part.cases.name}" for part in parts)),
        plots=tuple(_plot(context, part) for part in parts),
        tables=tuple(_table(context, part) for part in parts),
        missing=tuple(f"what {name} is worth: no item of this shop has it" for name in absent),
    )


def _plot(context: ReportContext, part: ScoredCases) -> Bars:
    ways = {"without it": "without {}", "alone": "{} only", "shuffled": "shuffled {}"}
    fused = context.mean(part.measures[FUSED].ndcg)
    series = {
        way: (None, *(context.mean(part.measures[row.format(name)].ndcg) for name in MODALITIES))
        for way, row in ways.items()
    }
    whole = {"all modalities": (fused, *(None for _ in MODALITIES))}
    return Bars(SURFACE_NAMES[part.cases.surface].capitalize(), "NDCG@10", (FUSED, *MODALITIES), whole | series)


def _table(context: ReportContext, part: ScoredCases) -> Table:
    names = [name for name in part.measures if _is_variant(name)]
    fused = part.measures[FUSED].ndcg
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        own = part.measures[name]
        fall = None if name == FUSED else context.mean(fused - own.ndcg)
        rows.append((name, context.mean(own.ndcg), context.mean(own.recall), fall))
    columns = ("row", "NDCG@10", "recall@100", "NDCG@10 falls by")
    return Table(SURFACE_NAMES[part.cases.surface].capitalize(), columns, tuple(rows))


def _is_variant(name: str) -> bool:
    return name == FUSED or any(name in (f"without {m}", f"{m} only", f"shuffled {m}") for m in MODALITIES)
