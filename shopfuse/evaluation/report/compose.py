"""The whole report: every section over one bench, and the few figures that a hurried reader looks for."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.report.ablation import ablation_section
from shopfuse.evaluation.report.bench import FUSED, SIMPLE, SURFACES, Bench, Sizes, open_bench, score_rows
from shopfuse.evaluation.report.beyond_accuracy import beyond_accuracy_section
from shopfuse.evaluation.report.calibration import FIRST_SLOT, calibration_section
from shopfuse.evaluation.report.cold_start import cold_start_section
from shopfuse.evaluation.report.context import SOURCES, SURFACE_NAMES, ReportContext
from shopfuse.evaluation.report.importance import importance_section
from shopfuse.evaluation.report.judged_lists import judged_lists
from shopfuse.evaluation.report.quality import quality_section
from shopfuse.evaluation.report.reported_models import facts_of, open_reported
from shopfuse.evaluation.report.section import Estimate, Headline, Report, Section
from shopfuse.evaluation.report.segments import segments_section
from shopfuse.training.data.provenance import data_hash

STAGE = "report"


def make_report(workspace: Path, seed: int, sizes: Sizes, progress: Progress) -> Report:
    """Measures the last training of a workspace. Raises a ShopfuseError where nothing is released yet."""
    shop = Workspace.open(workspace)
    reported, data = open_reported(shop, progress), data_hash(shop)
    with tempfile.TemporaryDirectory(prefix="shopfuse-report-") as folder:
        bench = open_bench(
            shop,
            reported.models,
            reported.text_vectors,
            reported.encoding.encode,
            Path(folder),
            seed=seed,
            sizes=sizes,
        )
        facts = facts_of(shop, reported, seed, data)
        title = f"Evaluation of {shop.settings.name}, release {reported.manifest.release_id}"
        return compose(bench, title, facts, _command(workspace, seed, sizes), data, progress)


def _command(workspace: Path, seed: int, sizes: Sizes) -> str:
    """What to type to get the same figures again."""
    where = shlex.quote(str(workspace))
    return f"shopfuse evaluate report -w {where} --seed {seed} --cases {sizes.cases} --lists {sizes.lists}"


def compose(
    bench: Bench, title: str, facts: tuple[tuple[str, str], ...], command: str, data: str, progress: Progress = silent
) -> Report:
    """`command` prints the report again, `data` is the sha256 of what it was computed from."""
    context = ReportContext(bench, score_rows(bench, progress), command, data)
    judged = judged_lists(bench, progress)
    progress(STAGE, 0, 3)
    sections = [quality_section(context), calibration_section(context, judged), beyond_accuracy_section(context)]
    progress(STAGE, 1, 3)
    sections += [cold_start_section(context), ablation_section(context), segments_section(context)]
    progress(STAGE, 2, 3)
    sections.append(importance_section(context, judged, progress))
    progress(STAGE, 3, 3)
    return Report(title, facts, tuple(_headlines(context, sections[1])), tuple(sections))


def _headlines(context: ReportContext, calibration: Section) -> list[Headline]:
    headlines = [headline for surface in SURFACES if (headline := _quality(context, surface)) is not None]
    clicks = [row for table in calibration.tables for row in table.rows if row[:2] == ("click", FIRST_SLOT)]
    for row in clicks:
        ratio, error = row[4], row[5]
        assert isinstance(ratio, Estimate)
        assert isinstance(error, float)
        headlines.append(Headline("Clicks predicted / observed", f"{ratio.mean:.2f}", f"first slot, ECE {error:.3f}"))
    return headlines


def _quality(context: ReportContext, surface: str) -> Headline | None:
    part = context.of(surface)
    if part is None:
        return None
    fused = context.mean(part.measures[FUSED].ndcg)
    best = max(SIMPLE[surface], key=lambda name: float(part.measures[name].ndcg.mean()))
    lead = context.mean(part.measures[FUSED].ndcg - part.measures[best].ndcg)
    detail = f"[{fused.low:.3f}, {fused.high:.3f}] by {SOURCES[part.cases.source]}; leads {best} by {lead.mean:+.3f}"
    return Headline(f"NDCG@10 of {SURFACE_NAMES[surface]}", f"{fused.mean:.3f}", detail)
