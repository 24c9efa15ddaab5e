"""A review import takes every review once, names the rows that it cannot take, and leaves the others alone."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.mapping import MappingError, ReviewMapping, Source, read_review_mapping
from shopfuse.datasets.importing.report import TooManyBadRowsError
from shopfuse.datasets.importing.reviews import import_reviews
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.schema import MAX_REVIEW, REVIEW_SCHEMA
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.import_files import EXAMPLES, read_jsonl, write_jsonl

MAPPING = ReviewMapping({name: Source((name,)) for name in REVIEW_SCHEMA})
REVIEW: dict[str, object] = {"review_id": "w1", "item_id": "i1", "rating": 4, "text": "Sturdy.", "user_id": "u1"}


def test_every_field_of_a_review_arrives(tmp_path: Path, workspace: Workspace) -> None:
    row = REVIEW | {"text": " Does not\u0000 wobble.\n", "rating": "4.5", "timestamp": "2024-05-01T12:00:00Z"}

    report = import_reviews(write_jsonl(tmp_path / "r.jsonl", [row]), MAPPING, workspace)

    reviews = workspace.reviews().collect()
    assert reviews.schema == REVIEW_SCHEMA
    assert reviews.row(0, named=True) == row | {
        "text": "Does not wobble.",
        "rating": 4.5,
        "timestamp": datetime(2024, 5, 1, 12, tzinfo=UTC),
    }
    assert (report.rows, report.added, report.unknown_items) == (1, 1, 1)


def test_the_example_mapping_reads_the_rows_that_it_shows(tmp_path: Path, workspace: Workspace) -> None:
    lines = [line[4:] for line in (EXAMPLES / "reviews_csv.toml").read_text().splitlines()[1:3]]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")

    import_reviews(tmp_path / "r.csv", read_review_mapping(EXAMPLES / "reviews_csv.toml"), workspace)

    review = workspace.reviews().collect().row(0, named=True)
    assert (review["item_id"], review["rating"], review["user_id"]) == ("1042", 4.0, "u7")
    assert review["text"] == "Sturdy. Took an hour to build, but it does not wobble."


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"item_id": None}, "item_id", "is missing"),
        ({"item_id": "a\tb"}, "item_id", "at most 128 bytes"),
        ({"rating": None}, "rating", "is missing"),
        ({"rating": "good"}, "rating", "expected a number"),
        ({"rating": True}, "rating", "expected a number"),
        ({"rating": 0}, "rating", "expected 1 to 5 stars"),
        ({"rating": 9}, "rating", "expected 1 to 5 stars (is scale = 1 right?)"),
        ({"rating": float("nan")}, "rating", "expected 1 to 5 stars"),
        ({"text": None}, "text", "is missing"),
        ({"text": "\u0000 \n"}, "text", "is missing"),
        ({"text": {"a": 1}}, "text", "expected a text"),
    ],
)
def test_a_bad_row_is_set_aside_with_file_row_and_field(
    tmp_path: Path, workspace: Workspace, change: dict[str, object], field: str, problem: str
) -> None:
    rows = [REVIEW, REVIEW | {"review_id": "w2"} | change]

    report = import_reviews(write_jsonl(tmp_path / "r.jsonl", rows), MAPPING, workspace)

    assert workspace.reviews().collect()["review_id"].to_list() == ["w1"]
    (bad,) = read_jsonl(workspace.paths.reviews_rejects)
    assert (bad["file"], bad["row"], bad["field"]) == ("r.jsonl", 2, field)
    assert problem in bad["problem"]
    assert report.rejected == 1


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("user_id", "a b", "printable characters without spaces"),
        ("review_id", "w" * 129, "at most 128"),
        ("timestamp", "noon", "not a time in the format 'iso'"),
    ],
)
def test_a_bad_value_is_left_out_and_its_review_kept(
    tmp_path: Path, workspace: Workspace, field: str, value: str, problem: str
) -> None:
    report = import_reviews(write_jsonl(tmp_path / "r.jsonl", [REVIEW | {field: value}]), MAPPING, workspace)

    (left_out,) = report.left_out
    assert (left_out.field, left_out.count, left_out.row, left_out.value) == (field, 1, 1, value)
    assert problem in left_out.problem
    assert (report.added, report.rejected) == (1, 0)


def test_ten_points_become_five_stars(tmp_path: Path, workspace: Workspace) -> None:
    mapping = ReviewMapping({**MAPPING.sources, "rating": Source(("rating",), scale=0.5)})

    import_reviews(write_jsonl(tmp_path / "r.jsonl", [REVIEW | {"rating": 9}]), mapping, workspace)

    assert workspace.reviews().collect()["rating"].to_list() == [4.5]


def test_a_second_import_adds_nothing_and_an_edited_review_replaces_the_old_one(
    tmp_path: Path, workspace: Workspace
) -> None:
    anonymous = {name: value for name, value in REVIEW.items() if name != "review_id"}
    file = write_jsonl(tmp_path / "r.jsonl", [REVIEW, anonymous])

    first = import_reviews(file, MAPPING, workspace)
    again = import_reviews(file, MAPPING, workspace)
    edited = import_reviews(write_jsonl(tmp_path / "e.jsonl", [REVIEW | {"text": "It broke."}]), MAPPING, workspace)

    assert (first.added, again.added, again.unchanged, edited.updated) == (2, 0, 2, 1)
    assert set(workspace.reviews().collect()["text"]) == {"Sturdy.", "It broke."}


def test_long_texts_are_cut_and_counted(tmp_path: Path, workspace: Workspace) -> None:
    report = import_reviews(write_jsonl(tmp_path / "r.jsonl", [REVIEW | {"text": "ab " * 2000}]), MAPPING, workspace)

    assert workspace.reviews().collect()["text"].str.len_chars().max() <= MAX_REVIEW  # type: ignore[operator]
    assert report.notes == {f"text cut to {MAX_REVIEW} characters": 1}


def test_a_file_of_bad_rows_changes_nothing(tmp_path: Path, workspace: Workspace) -> None:
    import_reviews(write_jsonl(tmp_path / "r.jsonl", [REVIEW]), MAPPING, workspace)
    before = workspace.paths.reviews_table.read_bytes()
    bad = [REVIEW | {"review_id": f"x{number}", "rating": 7} for number in range(30)]

    with pytest.raises(TooManyBadRowsError, match="field 'rating': expected 1 to 5 stars"):
        import_reviews(write_jsonl(tmp_path / "bad.jsonl", bad), MAPPING, workspace)

    assert workspace.paths.reviews_table.read_bytes() == before


def test_a_mapping_or_file_that_does_not_fit_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "m.toml").write_text('[review]\nitem_id = "sku"\nrating = "stars"\n')
    with pytest.raises(MappingError, match=r"review\.text is missing"):
        read_review_mapping(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_text('[review]\nstars = "stars"\n')
    with pytest.raises(MappingError, match=r"unknown key 'review\.stars'"):
        read_review_mapping(tmp_path / "m.toml")
    pl.DataFrame({"item_id": ["i1"], "rating": [5]}).write_csv(tmp_path / "r.csv")
    columns = ReviewMapping({name: Source((name,)) for name in ("item_id", "rating", "text")})
    with pytest.raises(SourceFileError, match="reads 'text' from 'text'"):
        import_reviews(tmp_path / "r.csv", columns, workspace)
