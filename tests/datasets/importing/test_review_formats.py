"""Exports of reviews are recognised and come out whole; for others a mapping is begun. Shapes as their makers document
or export them, contents made up."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from shopfuse.cli.main import app
from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing.formats.field_guesses import shown_time_format
from shopfuse.datasets.importing.formats.recognition import (
    REVIEW,
    recognised,
    review_mapping_of,
    sample_of,
    suggestion,
)
from shopfuse.datasets.importing.mapping import read_review_mapping
from shopfuse.datasets.importing.reviews import import_reviews
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.workspace import Workspace

GOOGLE = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns:vc="http://www.w3.org/2007/XMLSchema-versioning"><version>2.3</version><publisher><name>Shop</name></publisher>
<reviews><review><review_id>7</review_id><reviewer><name is_anonymous="true">Anonymous</name>
<reviewer_id>u9</reviewer_id></reviewer><review_timestamp>2024-05-01T12:00:00Z</review_timestamp>
<title>Sturdy</title><content>Does not wobble.</content><review_url type="singleton">https://s.example/7</review_url>
<ratings><overall min="1" max="5">4</overall></ratings><products><product><product_ids>
<gtins><gtin>4006381333931</gtin></gtins><skus><sku>T-1</sku><sku>T-2</sku></skus></product_ids>
<product_url>https://s.example/t</product_url></product></products></review></reviews></feed>"""
ASKED = datetime(2024, 5, 1, 12, tzinfo=UTC)
DAY = datetime(2024, 5, 31, tzinfo=UTC)
BOTH = "Sturdy. Does not wobble."
FORMATS = {
    "Judge.me reviews": (
        "title,body,rating,review_date,source,curated,reviewer_name,reviewer_email,product_id,product_handle,reply\n"
        "Sturdy,Does not wobble.,4,2024-05-01 12:00:00 UTC,web,ok,A,a@x.example,70,T-1,\n",
        BOTH,
        ASKED,
    ),
    "Shopify product reviews": (
        "product_handle,state,rating,title,author,email,location,body,reply,created_at,replied_at\n"
        "T-1,published,4,Sturdy,A,a@x.example,,Does not wobble.,,2024-05-01T14:00:00+02:00,\n",
        BOTH,
        ASKED,
    ),
    "Loox reviews": (
        "id,status,rating,email,nickname,full_name,review,date,productId,handle,img,variant,verified_purchase\n"
        "1,Active,4,a@x.example,A,A B,Does not wobble.,2024-05-01T12:00:00.000Z,70,T-1,,M,true\n",
        "Does not wobble.",
        ASKED,
    ),
    "Okendo reviews": (
        "Review ID,Product ID,Product Name,Rating,Title,Body,Reviewer Name,Is Verified Buyer,Date Created,Status\n"
        "r1,T-1,Table,4,Sturdy,Does not wobble.,A,FALSE,2024-05-31,approved\n",
        BOTH,
        DAY,
    ),
    "Yotpo reviews": (
        "Review Title;Review Content;Review Score;Date;Product ID;Product Title;Product URL;Display Name;Email\n"
        'Sturdy;"Does not wobble.";4;31/05/2024;T-1;Table;https://s.example/t;A;a@x.example\n',
        BOTH,
        DAY,
    ),
    "Trustpilot product reviews": (
        json.dumps(
            {
                "productReviews": [
                    {
                        "id": "670d",
                        "createdAt": "2024-05-01T12:00:00.000Z",
                        "stars": 4,
                        "content": "Does not wobble.",
                        "consumer": {"id": "u9", "displayName": "A"},
                        "product": {"id": "p", "variations": [{"sku": "T-1"}]},
                    }
                ],
                "links": [],
            },
            indent=1,
        ),
        "Does not wobble.",
        ASKED,
    ),
    "WooCommerce reviews": (
        '[{"id": 22, "date_created": "2024-05-01T14:00:00", "date_created_gmt": "2024-05-01T12:00:00",'
        ' "product_id": "T-1", "status": "approved", "reviewer": "A", "reviewer_email": "a@x.example",'
        ' "review": "<p>Does not wobble.</p>",'
        ' "rating": 4, "verified": false}]',
        "Does not wobble.",
        ASKED,
    ),
    "WooCommerce reviews, as comments": (
        "comment_ID,comment_post_ID,comment_author,comment_date,comment_date_gmt,comment_content,product_SKU,rating\n"
        "9,70,A,2024-05-01 14:00:00,2024-05-01 12:00:00,Does not wobble.,T-1,4\n",
        "Does not wobble.",
        ASKED,
    ),
    "Amazon reviews": (
        '{"rating": 4.0, "title": "Sturdy", "text": "Does not wobble.", "images": [], "asin": "B0",'
        ' "parent_asin": "T-1", "user_id": "u9", "timestamp": 1714564800000,'
        ' "helpful_vote": 0, "verified_purchase": true}\n',
        BOTH,
        ASKED,
    ),
    "Amazon reviews, 2014 and 2018": (
        '{"reviewerID": "u9", "asin": "T-1", "reviewerName": "A", "helpful": [0, 0], "reviewText": "Does not wobble.",'
        ' "overall": 4.0, "summary": "Sturdy", "unixReviewTime": 1714564800, "reviewTime": "05 1, 2024"}\n',
        BOTH,
        ASKED,
    ),
    "Google product reviews": (GOOGLE, BOTH, ASKED),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_known_export_comes_out_whole(tmp_path: Path, workspace: Workspace, name: str) -> None:
    text, told, written = FORMATS[name]
    (tmp_path / "reviews").write_text(text)

    found = recognised(tmp_path / "reviews", REVIEW, tmp_path)
    report = import_reviews(tmp_path / "reviews", review_mapping_of(found), workspace)
    again = import_reviews(tmp_path / "reviews", review_mapping_of(found), workspace)

    review = workspace.reviews().collect().row(0, named=True)
    assert found.name == name
    assert (review["item_id"], review["rating"], review["text"]) == ("T-1", 4.0, told)
    assert review["timestamp"] == written
    assert "@" not in (review["user_id"] or "")
    assert (report.rows, report.added, report.rejected, report.left_out, report.warnings) == (1, 1, 0, (), ())
    assert (again.unchanged, again.updated) == (1, 0)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_export_is_told_and_every_row_counted(name: str, data: st.DataObject) -> None:
    good = FORMATS[name][0].encode()
    at, cut = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 40))
    damaged = good[:at] + data.draw(st.binary(max_size=6)) + good[at + cut :]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "reviews"
        file.write_bytes(damaged)
        try:
            mapping = review_mapping_of(recognised(file, REVIEW, Path(folder)))
            report = import_reviews(file, mapping, Workspace.create(Path(folder) / "shop"), max_bad_share=1.0)
        except ShopfuseError as error:
            assert "reviews" in str(error)
            return
        kept = report.added + report.updated + report.unchanged

        assert report.rows == kept + report.rejected + report.superseded + report.repeated


def test_an_unknown_export_of_reviews_is_begun_as_a_mapping(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "r.csv").write_text(
        "Artikelnummer;Sterne;Titel;Kommentar;Datum\n7;5;Stabil;Wackelt nicht.;31.05.2024 12:00\n"
    )

    with pytest.raises(SourceFileError, match=r"import reviews r\.csv --suggest"):
        recognised(tmp_path / "r.csv", REVIEW, tmp_path)
    (tmp_path / "map.toml").write_text(suggestion(sample_of(tmp_path / "r.csv", tmp_path), REVIEW))
    import_reviews(tmp_path / "r.csv", read_review_mapping(tmp_path / "map.toml"), workspace)

    review = workspace.reviews().collect().row(0, named=True)
    assert (review["item_id"], review["text"], review["rating"]) == ("7", "Stabil. Wackelt nicht.", 5.0)
    assert review["timestamp"] == datetime(2024, 5, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["31.05.2024", "1.6.2024"], "%d.%m.%Y"),
        (["1.6.24"], "%d.%m.%y"),
        (["5/31/24", "6/1/24"], "%m/%d/%y"),
        (["1/6/2024", "31/5/2024"], "%d/%m/%Y"),
        (["5/31/24, 1:05 PM"], "%m/%d/%y, %I:%M %p"),
        (["31/05/2024 13:05:00"], "%d/%m/%Y %H:%M:%S"),
        (["1/6/2024"], None),
        (["13/13/2024"], None),
        (["31/5/2024", "5/31/2024"], None),
        (["31.05.2024", "soon"], None),
        (["2024-05-31"], "iso"),
        (["1714564800000"], "ms"),
        ([], None),
    ],
)
def test_the_form_of_times_is_that_of_all_of_them(values: list[str], expected: str | None) -> None:
    assert shown_time_format(values) == expected


def test_command_recognises_and_suggests(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(FORMATS["Judge.me reviews"][0])
    command = ["import", "reviews", str(tmp_path / "r.csv"), "-w", str(tmp_path / "shop")]

    done, suggested = CliRunner().invoke(app, command), CliRunner().invoke(app, [*command, "--suggest"])

    assert (done.exit_code, suggested.exit_code) == (0, 0)
    assert "Judge.me reviews" in done.output
    assert "1 rows in" in done.output
    assert "recognised as: Judge.me reviews" in suggested.output
    assert "[review]" in suggested.output
