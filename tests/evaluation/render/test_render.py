"""The report as files: well-formed, with its plots, and readable back."""

import xml.etree.ElementTree as ElementTree

import pytest

from shopfuse.evaluation.render.cells import written
from shopfuse.evaluation.render.files import markdown
from shopfuse.evaluation.render.html import html
from shopfuse.evaluation.render.plots import svg
from shopfuse.evaluation.report.section import Bars, Estimate, Headline, Line, Lines, Report, Section, Table

SVG = "{http://www.w3.org/2000/svg}"
HTML = "{http://www.w3.org/1999/xhtml}"


def _estimate(mean: float, count: int = 100) -> Estimate:
    return Estimate(mean, mean - 0.02, mean + 0.03, count)


@pytest.fixture(scope="module")
def report() -> Report:
    bars = Bars("Rows & <more>", "NDCG@10", ("fused", "bm25"), {"search": (_estimate(0.5), None)})
    points = (_estimate(0.1), _estimate(0.2))
    lines = Lines("Curve", "events", "NDCG@10", (Line("fused", (0.0, 1.0), points), Line("b", (0.0, 1.0), points)))
    table = Table("All rows", ("row", "NDCG@10"), (("fused | <b>", _estimate(0.5)), ("bm25", _estimate(0.25, 7))))
    sections = (
        Section("quality", "Quality", "How to read it.", "seed 7, data abc", (bars,), (table,)),
        Section("curves", "Curves & co", "Lines.", "seed 7, data abc", (lines,), missing=("no cart was logged",)),
    )
    return Report("Shop & report", (("data", "abc"),), (Headline("search", "0.5", "of 1"),), sections)


@pytest.fixture(scope="module")
def drawn(report: Report) -> dict[str, list[str]]:
    return {part.key: [svg(plot, f"{part.key}-{n}") for n, plot in enumerate(part.plots)] for part in report.sections}


def test_the_page_is_well_formed_and_holds_every_plot_table_and_provenance(
    report: Report, drawn: dict[str, list[str]]
) -> None:
    page = ElementTree.fromstring(html(report, drawn).split("\n", 1)[1])

    assert len(page.findall(f".//{SVG}svg")) == 2
    assert [element.get("id") for element in page.findall(f".//{HTML}section")] == ["quality", "curves"]
    cells = ["".join(cell.itertext()) for cell in page.findall(f".//{HTML}td")]
    assert cells == ["fused | <b>", "0.500 [0.480, 0.530]", "bm25", "0.250 [0.230, 0.280] (few: 7)"]
    provenance = [element.text for element in page.findall(f".//{HTML}p") if element.get("class") == "provenance"]
    assert provenance == ["seed 7, data abc"] * 2
    assert "no cart was logged" in "".join(page.itertext())


def test_plots_follow_the_theme_and_share_no_id(drawn: dict[str, list[str]]) -> None:
    plots = [plot for part in drawn.values() for plot in part]
    ids = [element.get("id") for plot in plots for element in ElementTree.fromstring(plot).iter() if element.get("id")]

    assert len(ids) == len(set(ids))
    for plot in plots:
        assert "prefers-color-scheme:dark" in plot
        assert "var(--plot0)" in plot
        assert "#010101" not in plot


def test_the_page_needs_nothing_from_elsewhere(report: Report, drawn: dict[str, list[str]]) -> None:
    page = html(report, drawn)

    assert "<script" not in page
    assert 'src="' not in page
    assert "url(http" not in page


def test_the_same_report_is_drawn_with_the_same_bytes(report: Report, drawn: dict[str, list[str]]) -> None:
    assert svg(report.sections[0].plots[0], "quality-0") == drawn["quality"][0]


def test_markdown_names_plots_tables_and_what_is_missing(report: Report) -> None:
    text = markdown(report, {"quality": ["plots/quality-0.svg"], "curves": ["plots/curves-0.svg"]})

    assert "![Rows & <more>](plots/quality-0.svg)" in text
    assert "| fused \\| <b> | 0.500 [0.480, 0.530] |" in text
    assert "Not shown: no cart was logged" in text
    assert text.count("*seed 7, data abc*") == 2


def test_figures_of_few_cases_are_marked() -> None:
    assert written(_estimate(0.5, count=29)).endswith("(few: 29)")
    assert written(_estimate(0.5, count=30)) == "0.500 [0.480, 0.530]"
    assert written(None) == "-"
    assert written(1234.5) == "1,234"


def test_the_document_for_programs_holds_every_figure(report: Report) -> None:
    document = report.document()

    rows = document["sections"]["quality"]["tables"][0]["rows"]
    assert rows[1] == {"row": "bm25", "NDCG@10": {"mean": 0.25, "low": 0.23, "high": 0.28, "count": 7}}
    assert document["sections"]["curves"]["missing"] == ["no cart was logged"]
