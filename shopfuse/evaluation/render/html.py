"""A report as one HTML file that needs nothing else: plots inline, light or dark as the reader's system is.

Plots first, tables to be opened below them. Well-formed as XML, so that any tool can read the figures back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from shopfuse.evaluation.render.cells import is_numeric, written
from shopfuse.evaluation.report.section import Cell, Estimate, Report, Section, Table

STYLE = """
:root{color-scheme:light dark;--ink:#1f2430;--soft:#5d6575;--page:#fbfbfd;--card:#fff;--line:#e2e5ec;--accent:#1d6fd1}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ee;--soft:#a3a9b7;--page:#14161b;--card:#1c1f26;--line:#323844;
--accent:#6cb0ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 20px 80px}
h1{font-size:26px;margin:12px 0 4px}h2{font-size:20px;margin:0 0 6px}
nav{display:flex;flex-wrap:wrap;gap:6px 16px;margin:16px 0 24px}
a{color:var(--accent);text-decoration:none}
.facts{color:var(--soft);font-size:13px;margin:0;padding:0;list-style:none}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:12px;margin:20px 0}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
section{margin:20px 0;padding:20px 22px}
.card b{display:block;font-size:24px}.card small{color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:10px 24px;align-items:start}
.plots svg{width:100%;height:auto;font-family:system-ui,sans-serif}
details{margin:12px 0}summary{cursor:pointer;font-weight:600}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;margin:8px 0;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}
.n{text-align:right}.thin{color:var(--soft)}
.missing{color:var(--soft)}.provenance{color:var(--soft);font-size:12px;margin:10px 0 0;overflow-wrap:anywhere}
@media (max-width:540px){.plots{grid-template-columns:1fr}}
"""


def html(report: Report, plots: Mapping[str, list[str]]) -> str:
    """The page. `plots` holds the `<svg>` elements of each section by its key."""
    sections = "\n".join(_section(section, plots.get(section.key, [])) for section in report.sections)
    links = "".join(f'<a href="#{part.key}">{escape(part.title)}</a>' for part in report.sections)
    facts = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in report.facts)
    cards = "".join(
        f'<div class="card">{escape(part.label)}<b>{escape(part.value)}</b><small>{escape(part.detail)}</small></div>'
        for part in report.headlines
    )
    return f"""<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head><meta charset="utf-8" /><meta name="viewport" content="width=device-width, initial-scale=1" />
<title>{escape(report.title)}</title><style>{STYLE}</style></head>
<body><main>
<h1>{escape(report.title)}</h1>
<ul class="facts">{facts}</ul>
<div class="cards">{cards}</div>
<nav>{links}</nav>
{sections}
</main></body></html>
"""


def _section(section: Section, plots: list[str]) -> str:
    tables = "\n".join(_table(table) for table in section.tables)
    missing = "".join(f'<p class="missing">Not shown: {escape(reason)}</p>' for reason in section.missing)
    return f"""<section id="{section.key}">
<h2>{escape(section.title)}</h2>
<p>{escape(section.reading)}</p>
<div class="plots">{"".join(plots)}</div>
{tables}{missing}
<p class="provenance">{escape(section.provenance)}</p>
</section>"""


def _table(table: Table) -> str:
    numeric = [all(is_numeric(row[place]) for row in table.rows) for place in range(len(table.columns))]
    head = "".join(_head(name, right) for name, right in zip(table.columns, numeric, strict=True))
    body = "".join(f"<tr>{''.join(_cells(row, numeric))}</tr>" for row in table.rows)
    return (
        f"<details><summary>{escape(table.title)}</summary>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>'
    )


def _head(name: str, right: bool) -> str:
    return f'<th class="{"n" if right else ""}">{escape(name)}</th>'


def _cells(row: tuple[Cell, ...], numeric: list[bool]) -> Iterator[str]:
    for cell, right in zip(row, numeric, strict=True):
        thin = isinstance(cell, Estimate) and cell.is_thin
        names = " ".join([*(["n"] if right else []), *(["thin"] if thin else [])])
        yield f'<td class="{names}">{escape(written(cell))}</td>'
