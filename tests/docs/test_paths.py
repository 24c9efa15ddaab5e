"""What the pages name is there: files and folders of the repository, links to other pages, headings, figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    *(
        "benchmarks",
        "docs",
        "examples",
        "exporters",
        "gateway",
        "k8s",
        "model_repository",
        "monitoring",
        "protos",
        "shopfuse",
        "tests",
    ),
    *("shopfuse_exporters", "shopfuse_gateway"),
)
# Where the paths of pages start from: the root, or the package that a page is about.
PACKAGES = ("shopfuse", "gateway/shopfuse_gateway", "exporters/shopfuse_exporters")
BASES = tuple(ROOT / base for base in (".", "protos", "gateway", "exporters", *PACKAGES[1:]))
LONGEST_README = 150  # lines: it is a map
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "gateway/*.md", "exporters/*.md", "examples/*/*.md", "model_repository/*.md")
    for page in ROOT.glob(pattern)
)
IN_A_ROOM = re.compile(rf"(?<![\w/.*>-])(?:{'|'.join(ROOMS)})/[\w./*-]*")
SOURCE = re.compile(r"(?<![\w/.*>-])[a-z][\w-]*/[\w./*-]*\.(?:py|md|proto|js)\b")
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def paths(text: str) -> set[str]:
    """Everything in a page that looks like a file or folder of the repository."""
    found = IN_A_ROOM.findall(text) + SOURCE.findall(text)
    return {path.rstrip(".,:;-") for path in found}


def exists(path: str) -> bool:
    return any(any(base.glob(path.rstrip("/"))) for base in BASES if base.is_dir())


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(line.lstrip("# ")) for line in page.read_text().splitlines() if line.startswith("#")}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def tree_rooms() -> list[Path]:
    """The folders of the README's tree: those that are indented lie in the one above them that is not."""
    tree = (ROOT / "README.md").read_text().partition("## The tree")[2].split("```")[1]
    rooms = []
    outer = ROOT
    for indent, names in re.findall(r"^( *)((?:[\w.]+/ +)+)", tree, flags=re.MULTILINE):
        for name in names.split():
            room = (outer if indent else ROOT) / name
            rooms.append(room)
            outer = outer if indent else room
    return rooms


def rooms(package: str) -> set[str]:
    """Every folder of a package that holds code, as written below it: `training/data/`."""
    return {f"{init.parent.relative_to(ROOT / package)}/" for init in (ROOT / package).glob("*/**/__init__.py")}


def table_of_rooms(page: Path) -> set[str]:
    """The files and folders in the first column of the tables under the heading "Rooms" or "The rooms"."""
    section = re.split(r"^## (?:The r|R)ooms$", page.read_text(), flags=re.MULTILINE)[1].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*) \|", section, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w./]+)`", cell)}


def packages() -> set[str]:
    return {path.name for path in (ROOT / "shopfuse").iterdir() if any(path.glob("*.py"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    missing = sorted(path for path in paths(page.read_text()) if not exists(path))

    assert not missing, f"{page.relative_to(ROOT)} names {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_the_tree_in_the_readme_is_the_tree() -> None:
    rooms = tree_rooms()

    assert not [str(room.relative_to(ROOT)) for room in rooms if not room.is_dir()]
    assert {ROOT / "shopfuse" / name for name in packages()} <= set(rooms), (
        "a room of shopfuse/ has no line in the tree"
    )


def test_architecture_has_a_line_for_every_room() -> None:
    assert table_of_rooms(ROOT / "docs" / "architecture.md") == rooms("shopfuse") | rooms("gateway") | rooms(
        "exporters"
    )


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_page_of_a_distribution_has_a_line_for_all_that_is_in_its_package(package: str) -> None:
    modules = {path.name for path in (ROOT / package).glob("*.py") if not path.name.startswith("__")}

    assert table_of_rooms((ROOT / package).parent / "README.md") == modules | rooms(package)


def test_the_readme_is_a_map_that_fits_in_one_look() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


def test_every_headline_figure_stands_in_the_benchmarks() -> None:
    table = (ROOT / "README.md").read_text().partition("## Measured")[2].partition("\n## ")[0]
    figures = set(re.findall(r"\d+\.\d+", table))

    assert figures
    assert figures <= set(re.findall(r"\d+\.\d+", (ROOT / "docs" / "benchmarks.md").read_text()))


def test_a_path_that_is_not_there_is_seen() -> None:
    named = paths("`shopfuse/ranking/nowhere.py`, ranking/gone.py, WORKSPACE/docs/, DIR/docs/x.md, docs/search.md.")

    assert named == {"shopfuse/ranking/nowhere.py", "ranking/gone.py", "docs/search.md"}
    assert [path for path in sorted(named) if exists(path)] == ["docs/search.md"]
