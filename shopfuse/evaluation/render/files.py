"""A report as files: one page that is enough alone, Markdown with its plots beside it, and every figure as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.evaluation.render.cells import is_numeric, written
from shopfuse.evaluation.render.html import html
from shopfuse.evaluation.render.plots import svg
from shopfuse.evaluation.report.section import Report, Section, Table

PLOTS = "plots"


def write_report(report: Report, folder: Path) -> None:
    """report.html (alone enough), report.md with plots/*.svg, and report.json with every figure."""
    drawn = {
        section.key: [svg(plot, f"{section.key}-{number}") for number, plot in enumerate(section.plots)]
        for section in report.sections
    }
    files = {key: [f"{PLOTS}/{key}-{number}.svg" for number in range(len(plots))] for key, plots in drawn.items()}
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for key, plots in drawn.items():
        for name, plot in zip(files[key], plots, strict=True):
            write_text(folder / name, plot)
    write_text(folder / "report.md", markdown(report, files))
    write_text(folder / "report.html", html(report, drawn))
    write_text(folder / "report.json", json.dumps(report.document(), indent=1) + "\n")


def markdown(report: Report, plots: Mapping[str, list[str]]) -> str:
    """The text. `plots` names the image files of each section by its key, relative to the text."""
    lines = [f"# {report.title}", ""]
    lines += [f"- {name}: {value}" for name, value in report.facts]
    lines += ["", "| | | |", "|---|---|---|"]
    lines += [f"| {part.label} | **{part.value}** | {part.detail} |" for part in report.headlines]
    for section in report.sections:
        lines += ["", *_section(section, plots.get(section.key, []))]
    return "\n".join(lines) + "\n"


def _section(section: Section, plots: list[str]) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    yield section.reading
    for plot, file in zip(section.plots, plots, strict=True):
        yield ""
        yield f"![{plot.title}]({file})"
    for table in section.tables:
        yield ""
        yield from _table(table)
    for reason in section.missing:
        yield ""
        yield f"Not shown: {reason}"
    yield ""
    yield f"*{section.provenance}*"


def _table(table: Table) -> Iterator[str]:
    yield f"**{table.title}**"
    yield ""
    yield _row(table.columns)
    numeric = [all(is_numeric(row[place]) for row in table.rows) for place in range(len(table.columns))]
    yield _row(tuple("--:" if right else "---" for right in numeric))
    for row in table.rows:
        yield _row(tuple(written(cell) for cell in row))


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
