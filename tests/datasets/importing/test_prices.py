"""Prices of a catalogue: in whatever notation, settled by the column, in their currency, reduced while a sale holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.events import import_events
from shopfuse.datasets.importing.mapping import CatalogueMapping, EventMapping, Source, read_catalogue_mapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.import_files import write_jsonl

NOW = datetime.now(UTC)
BASE = {"id": Source(("id",)), "title": Source(("title",))}


def prices_of(
    workspace: Workspace, rows: list[dict[str, object]], **sources: Source
) -> tuple[ImportReport, list[float | None], list[str | None]]:
    """The report of an import, and the prices and currencies of its items in the order of the rows."""
    rows = [{"id": f"{at:05d}", "title": "t", **row} for at, row in enumerate(rows)]
    mapping = CatalogueMapping({**BASE, "price": Source(("price",)), **sources})
    report = import_catalogue(write_jsonl(workspace.root / "p.jsonl", rows), mapping, workspace)
    items = workspace.items().sort("item_id").collect()
    return report, items["price"].to_list(), items["currency"].to_list()


def prices(*texts: object) -> list[dict[str, object]]:
    return [{"price": text} for text in texts]


@pytest.mark.parametrize(
    ("others", "decimal", "expected"),
    [
        (["19.99"], None, 1.299),
        (["19,99"], None, 1299.0),
        (["1.299.000"], None, 1299.0),
        (["19.99"], ",", 1299.0),
        (["19,99"], ".", 1.299),
        (["19.99", "19,99"], None, None),
        (["20"], None, None),
    ],
)
def test_the_mapping_or_else_the_column_settles_what_a_point_means(
    workspace: Workspace, others: list[object], decimal: str | None, expected: float | None
) -> None:
    report, read, _ = prices_of(workspace, prices("1.299", *others), price=Source(("price",), decimal=decimal))

    assert read[0] == expected
    left_out = [(entry.field, entry.count, entry.row, entry.value) for entry in report.left_out]
    assert left_out == ([("price", 1, 1, "1.299 or 1299")] if expected is None else [])
    assert any("read with a decimal" in note for note in report.notes) == (expected is not None and decimal is None)


def test_a_column_is_settled_across_batches(workspace: Workspace) -> None:
    report, read, _ = prices_of(workspace, [*prices("1.299"), *prices(*["20"] * 30_000), *prices("9,90")])

    assert (read[0], read[1], read[-1]) == (1299.0, 20.0, 9.9)
    assert (report.rows, report.added, report.left_out) == (30_002, 30_002, ())


def test_a_price_in_the_other_notation_keeps_its_one_meaning_and_is_told(workspace: Workspace) -> None:
    texts = ["1.299,00", "49.90", "1299.00", "12.5", "1,299.00"]

    report, read, _ = prices_of(workspace, prices(*texts), price=Source(("price",), decimal=","))

    assert read == [1299.0, 49.9, 1299.0, 12.5, 1299.0]
    assert report.notes == {"price written with a decimal point, read as it is written": 4}


def test_minor_units_are_scaled_in_both_readings(workspace: Workspace) -> None:
    _, read, _ = prices_of(workspace, prices("1.299", "4995", "9,5"), price=Source(("price",), scale=0.01))

    assert read == [12.99, 49.95, 0.095]


def test_a_currency_without_cents_settles_its_prices(workspace: Workspace) -> None:
    _, read, codes = prices_of(workspace, prices("12,900", "Ft 1.299"), currency=Source(value="KRW"))

    assert (read, codes) == ([12900.0, 1299.0], ["KRW", "HUF"])


def test_the_currency_is_filled_from_the_price(workspace: Workspace) -> None:
    rows = prices("24.90 EUR", "CHF 5", "$7", "$7", "12", "9 kr", "8 USD")
    for row, stated in zip(rows, [None, "(not set)", "cad", None, "\u20ac", "nok", "EUR"], strict=True):
        row["currency"] = stated

    report, _, codes = prices_of(workspace, rows, currency=Source(("currency",)))

    assert codes == ["EUR", "CHF", "CAD", None, "EUR", "NOK", "USD"]
    assert report.notes == {
        "currency left out: the sign in the price may be USD, AUD, ARS; say currency in the mapping": 1,
        "currency USD taken from the price, where the mapping says EUR": 1,
    }


def _interval(start: int, end: int) -> str:
    return "/".join(f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M%z}" for days in (start, end))


@pytest.mark.parametrize(
    ("sale", "interval", "expected"),
    [
        ("19.90 EUR", _interval(-1, 1), 19.9),
        ("19.90 EUR", _interval(1, 2), 24.9),
        ("19.90 EUR", _interval(-2, -1), 24.9),
        ("19.90 EUR", None, 19.9),
        ("19.90 EUR", "soon", 24.9),
        ("29.90 EUR", None, 24.9),
        (None, _interval(-1, 1), 24.9),
    ],
)
def test_the_sale_price_counts_while_it_holds(
    workspace: Workspace, sale: str | None, interval: str | None, expected: float
) -> None:
    row: dict[str, object] = {"price": "24.90 EUR", "sale_price": sale, "effective": interval}

    report, read, codes = prices_of(
        workspace, [row], sale_price=Source(("sale_price",)), sale_interval=Source(("effective",))
    )

    assert (read, codes) == ([expected], ["EUR"])
    assert (report.notes.get("sale price used: it holds now") == 1) == (expected == 19.9)
    assert [entry.field for entry in report.left_out] == (
        ["sale_price"] if interval == "soon" or sale == "29.90 EUR" else []
    )


def test_a_sale_holds_until_the_end_of_its_last_day(workspace: Workspace) -> None:
    today, yesterday = (f"{NOW - timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
    rows: list[dict[str, object]] = [
        {"price": 10, "sale_price": 8, "effective": f"{yesterday}/{today}"},
        {"price": 10, "sale_price": 8, "effective": f"{yesterday}/{today}T00:00:00Z"},
        {"price": 10, "sale_price": 8, "effective": f"2020-01-01/{yesterday}"},
    ]

    _, read, _ = prices_of(workspace, rows, sale_price=Source(("sale_price",)), sale_interval=Source(("effective",)))

    assert read == [8.0, 10.0, 10.0]


def test_a_sale_may_have_its_two_ends_in_columns(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "map.toml").write_text(
        'timezone = "Europe/Berlin"\n[item]\nid = "id"\ntitle = "title"\nprice = "price"\nsale_price = "sale"\n'
        'sale_from = { field = "from", format = "%d.%m.%Y" }\nsale_until = "until"\n'
    )
    ends = [f"{NOW + timedelta(days=days):%Y-%m-%d %H:%M}" for days in (2, -2)]
    rows: list[dict[str, object]] = [
        {"id": end, "title": "t", "price": 10, "sale": 8, "from": "01.01.2020", "until": end} for end in ends
    ]

    mapping = read_catalogue_mapping(tmp_path / "map.toml")
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", rows), mapping, workspace)

    assert dict(workspace.items().select("item_id", "price").collect().iter_rows()) == {ends[0]: 8.0, ends[1]: 10.0}


def test_prices_of_events_are_settled_alike(tmp_path: Path, workspace: Workspace) -> None:
    names = ("event_name", "timestamp", "user_id", "item_id", "price")
    rows = [
        {"event_name": "purchase", "timestamp": f"2024-05-0{day}", "user_id": "u", "item_id": "i", "price": price}
        for day, price in ((1, "1.299"), (2, "9,90 \u20ac"), (3, "free"))
    ]

    file = write_jsonl(tmp_path / "e.jsonl", rows)
    report = import_events(file, EventMapping({name: Source((name,)) for name in names}), workspace)

    events = workspace.events().sort("timestamp").collect()
    assert events["price"].to_list() == [1299.0, 9.9, None]
    assert [(entry.field, entry.row) for entry in report.left_out] == [("price", 3)]
    assert import_events(file, EventMapping({name: Source((name,)) for name in names}), workspace).unchanged == 3


def test_every_row_of_a_catalogue_is_accounted_for(tmp_path: Path, workspace: Workspace) -> None:
    old = [{"id": id, "title": "t"} for id in "ab"]
    new = [{"id": id, "title": title} for id, title in (("a", "t"), ("b", "u"), ("c", "t"), ("d", "t"), ("d", "t"))]
    new += [{"id": "c", "title": "v"}, {"id": "null", "title": "t"}]
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", old), CatalogueMapping(BASE), workspace)

    report = import_catalogue(write_jsonl(tmp_path / "q.jsonl", new), CatalogueMapping(BASE), workspace)

    counts = (report.added, report.updated, report.unchanged, report.rejected, report.superseded, report.repeated)
    assert counts == (2, 1, 1, 1, 1, 1)
    assert sum(counts) == report.rows == 7


@pytest.mark.parametrize(
    ("zone", "value", "moment", "assumed"),
    [
        (None, "2024-07-01T12:00:00", datetime(2024, 7, 1, 12, tzinfo=UTC), True),
        ("Europe/Berlin", "2024-07-01T12:00:00", datetime(2024, 7, 1, 10, tzinfo=UTC), False),
        ("Europe/Berlin", "2024-01-01T12:00:00", datetime(2024, 1, 1, 11, tzinfo=UTC), False),
        ("Europe/Berlin", "2024-07-01T12:00:00Z", datetime(2024, 7, 1, 12, tzinfo=UTC), False),
        ("Europe/Berlin", "2024-07-01 12:00:00 UTC", datetime(2024, 7, 1, 12, tzinfo=UTC), False),
    ],
)
def test_times_without_a_zone_are_of_the_mapping_s(
    tmp_path: Path, workspace: Workspace, zone: str | None, value: str, moment: datetime, assumed: bool
) -> None:
    line = f'timezone = "{zone}"\n' if zone else ""
    (tmp_path / "map.toml").write_text(f'{line}[item]\nid = "id"\ntitle = "id"\npublished_at = "at"\n')

    mapping = read_catalogue_mapping(tmp_path / "map.toml")
    report = import_catalogue(write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "at": value}]), mapping, workspace)

    assert workspace.items().collect()["published_at"].to_list() == [moment]
    assert any("without a zone taken as UTC" in note for note in report.notes) == assumed


def test_no_price_is_no_price_however_it_is_written(workspace: Workspace) -> None:
    report, read, _ = prices_of(workspace, prices("", "0", "0,00 \u20ac", "N/A", "--", None, 0, "null"))

    assert (read, report.left_out) == ([None] * 8, ())
    assert workspace.items().select(pl.col("available").all()).collect().item()
