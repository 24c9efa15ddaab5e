"""An event import sorts events into days, takes every event once, and names the rows that it cannot take."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.events import import_events
from shopfuse.datasets.importing.mapping import CatalogueMapping, EventMapping, Source, read_event_mapping
from shopfuse.datasets.importing.report import TooManyBadRowsError
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.schema import EVENT_NAMES, EVENT_SCHEMA
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.import_files import EXAMPLES, PRESETS, read_jsonl, tree, write_jsonl

NAMES = ("event_id", "event_name", "timestamp", "user_id", "session_id", "request_id", "query", "item_id", "position")
MORE = ("list_name", "price", "quantity", "scene", "device", "locale")
MAPPING = EventMapping({name: Source((name,)) for name in NAMES + MORE})
VIEW: dict[str, object] = {
    "event_name": "view_item",
    "timestamp": "2024-05-01T12:00:00Z",
    "user_id": "u1",
    "session_id": "s1",
    "item_id": "i1",
}


def test_every_field_of_an_event_arrives(tmp_path: Path, workspace: Workspace) -> None:
    row = VIEW | {"event_id": "e1", "event_name": "add_to_cart", "timestamp": "2024-05-01T23:30:00-02:00"}
    row |= {"request_id": "r1", "query": "oak\u0000 table", "list_name": "search", "scene": "holiday"}
    row |= {"position": "3", "price": "9.5", "quantity": 2.0, "device": "Mobile", "locale": "de-AT"}

    report = import_events(write_jsonl(tmp_path / "e.jsonl", [row]), MAPPING, workspace)

    events = workspace.events().collect()
    assert events.schema == EVENT_SCHEMA
    assert events.row(0, named=True) == row | {
        "timestamp": datetime(2024, 5, 2, 1, 30, tzinfo=UTC),
        "query": "oak table",
        "position": 3,
        "price": 9.5,
        "quantity": 2,
        "device": "mobile",
    }
    assert [path.name for path in workspace.paths.event_days] == ["date=2024-05-02.parquet"]
    assert (report.rows, report.added, report.unknown_items) == (1, 1, 1)


@pytest.mark.parametrize(
    ("time_format", "value"),
    [
        ("iso", "2024-05-01T12:00:00"),
        ("iso", "2024-05-01 14:00:00+02:00"),
        ("iso", "2024-05-01 12:00:00 UTC"),
        ("s", 1714564800),
        ("s", "1714564800"),
        ("ms", 1714564800000.0),
        ("us", "1714564800000000"),
        ("%d.%m.%Y %H:%M", "01.05.2024 12:00"),
    ],
)
def test_every_time_format_means_the_same_moment(
    tmp_path: Path, workspace: Workspace, time_format: str, value: object
) -> None:
    mapping = EventMapping({**MAPPING.sources, "timestamp": Source(("timestamp",), format=time_format)})

    import_events(write_jsonl(tmp_path / "e.jsonl", [VIEW | {"timestamp": value}]), mapping, workspace)

    assert workspace.events().collect()["timestamp"].to_list() == [datetime(2024, 5, 1, 12, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("zone", "moments"),
    [
        # The hour that the clocks repeat in autumn is its first time; a zone in the value is what it is.
        ("America/New_York", [(5, 2, 2, 30), (11, 3, 5, 30), (1, 15, 17, 0)]),
        ("Asia/Kolkata", [(5, 1, 17, 0), (11, 2, 20, 0), (1, 15, 17, 0)]),
        ("", [(5, 1, 22, 30), (11, 3, 1, 30), (1, 15, 17, 0)]),
    ],
)
def test_events_lie_in_the_utc_day_of_their_moment(
    tmp_path: Path, workspace: Workspace, zone: str, moments: list[tuple[int, int, int, int]]
) -> None:
    (tmp_path / "map.toml").write_text(
        (f'timezone = "{zone}"\n' if zone else "")
        + "[event]\n"
        + "".join(f'{name} = "{name}"\n' for name in ("event_name", "user_id", "item_id", "timestamp"))
    )
    times = ["2024-05-01 22:30", "2024-11-03 01:30", "2024-01-15T12:00:00-05:00"]
    file = write_jsonl(tmp_path / "e.jsonl", [VIEW | {"timestamp": time} for time in times])

    report = import_events(file, read_event_mapping(tmp_path / "map.toml"), workspace)

    expected = sorted(datetime(2024, *moment, tzinfo=UTC) for moment in moments)
    assert workspace.events().collect()["timestamp"].sort().to_list() == expected
    assert [path.stem for path in workspace.paths.event_days] == [f"date={moment:%Y-%m-%d}" for moment in expected]
    assert sum("taken as UTC" in note for note in report.notes) == (not zone)


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=2))])
def test_parquet_times_keep_their_moment(tmp_path: Path, workspace: Workspace, zone: timezone | None) -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=zone)
    frame = pl.DataFrame([{name: (VIEW | {"timestamp": moment}).get(name) for name in NAMES + MORE}])
    frame.write_parquet(tmp_path / "e.parquet")

    import_events(tmp_path / "e.parquet", MAPPING, workspace)

    assert workspace.events().collect()["timestamp"][0] == (moment if zone else moment.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"event_name": None}, "event_name", "is missing"),
        ({"event_name": {"a": 1}}, "event_name", "expected a text"),
        ({"timestamp": None}, "timestamp", "is missing"),
        ({"timestamp": "noon"}, "timestamp", "not a time in the format 'iso'"),
        ({"timestamp": 1714564800}, "timestamp", "not a time in the format 'iso'"),
        ({"timestamp": "1970-01-20T20:16:04"}, "timestamp", "outside 2000..2099"),
        ({"item_id": None}, "item_id", "is missing"),
        ({"item_id": "(not set)"}, "item_id", "is missing"),
        ({"item_id": "x" * 129}, "item_id", "at most 128 bytes"),
        ({"user_id": None, "session_id": ""}, "user_id", "is missing, and so is session_id"),
        ({"user_id": "a b", "session_id": None}, "user_id", "printable characters without spaces"),
        ({"event_name": "search"}, "query", "is missing, and the event is a search"),
        ({"event_name": "search", "query": "\u0000 \n"}, "query", "is missing, and the event is a search"),
    ],
)
def test_bad_event_is_set_aside_with_file_row_and_field(
    tmp_path: Path, workspace: Workspace, change: Mapping[str, object], field: str, problem: str
) -> None:
    report = import_events(write_jsonl(tmp_path / "e.jsonl", [VIEW, VIEW | dict(change)]), MAPPING, workspace)

    (rejection,) = [entry for entry in read_jsonl(workspace.paths.events_rejects) if not entry["row_kept"]]
    assert (rejection["file"], rejection["row"], rejection["field"]) == ("e.jsonl", 2, field)
    assert problem in rejection["problem"]
    assert (report.added, report.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"user_id": "u" * 129}, "user_id", "at most 128"),
        ({"event_id": "\u0000"}, "event_id", "printable"),
        ({"price": float("nan")}, "price", "expected a positive number"),
        ({"price": -2}, "price", "expected a positive number"),
        ({"position": -1}, "position", "expected a whole number from 0"),
        ({"position": 1.5}, "position", "expected a whole number"),
        ({"position": 2**31}, "position", "expected a whole number"),
        ({"position": float("inf")}, "position", "expected a whole number"),
        ({"quantity": True}, "quantity", "expected a number"),
    ],
)
def test_bad_value_is_left_out_and_its_event_kept(
    tmp_path: Path, workspace: Workspace, change: Mapping[str, object], field: str, problem: str
) -> None:
    report = import_events(write_jsonl(tmp_path / "e.jsonl", [VIEW | dict(change)]), MAPPING, workspace)

    (left_out,) = report.left_out
    assert (left_out.field, left_out.count, left_out.row) == (field, 1, 1)
    assert problem in left_out.problem
    assert (report.added, report.rejected) == (1, 0)


def test_events_go_to_their_utc_day_in_order_of_time(tmp_path: Path, workspace: Workspace) -> None:
    times = ["2024-05-02T00:00:00Z", "2024-05-01T23:59:59.999999Z", "2024-05-01T00:00:00Z", "2024-05-02T01:00:00+02:00"]
    rows = [VIEW | {"event_id": f"e{n}", "timestamp": time} for n, time in enumerate(times)]

    import_events(write_jsonl(tmp_path / "e.jsonl", rows), MAPPING, workspace)

    first, second = (pl.read_parquet(path, hive_partitioning=False) for path in workspace.paths.event_days)
    assert first["event_id"].to_list() == ["e2", "e3", "e1"]
    assert second["event_id"].to_list() == ["e0"]


def test_same_import_twice_changes_no_byte_with_and_without_ids(tmp_path: Path, workspace: Workspace) -> None:
    rows = [VIEW | {"timestamp": f"2024-05-0{1 + n % 3}T12:00:00Z", "item_id": f"i{n}"} for n in range(60)]
    rows += [{**row, "event_id": f"e{n}"} for n, row in enumerate(rows)]
    file = write_jsonl(tmp_path / "e.jsonl", rows)

    first = import_events(file, MAPPING, workspace)
    before = tree(workspace.root)
    second = import_events(file, MAPPING, workspace)

    assert (first.added, first.unchanged) == (120, 0)
    assert (second.added, second.updated, second.unchanged) == (0, 0, 120)
    assert tree(workspace.root) == before


def test_second_file_of_a_day_is_merged_by_event_id(tmp_path: Path, workspace: Workspace) -> None:
    old = [VIEW | {"event_id": "a"}, VIEW | {"event_id": "b", "price": 1}]
    new = [VIEW | {"event_id": "b", "price": 2}, VIEW | {"event_id": "c"}, VIEW | {"event_id": "a"}]

    import_events(write_jsonl(tmp_path / "p.jsonl", old), MAPPING, workspace)
    report = import_events(write_jsonl(tmp_path / "q.jsonl", new), MAPPING, workspace)

    assert (report.added, report.updated, report.unchanged) == (1, 1, 1)
    assert workspace.events().select("event_id", "price").collect().rows() == [("a", None), ("b", 2.0), ("c", None)]


def test_later_row_of_the_same_event_id_wins_and_is_reported(tmp_path: Path, workspace: Workspace) -> None:
    rows = [VIEW | {"event_id": "a", "price": 1}, VIEW | {"event_id": "a", "price": 2}, VIEW, VIEW]

    report = import_events(write_jsonl(tmp_path / "e.jsonl", rows), MAPPING, workspace)

    assert (report.added, report.superseded, report.rejected) == (2, 1, 0)
    assert [(entry["row"], entry["field"]) for entry in read_jsonl(workspace.paths.events_rejects)] == [(1, "event_id")]
    assert 2.0 in workspace.events().collect()["price"].to_list()


def test_user_without_session_gets_one_a_day_and_session_without_user_is_its_own(
    tmp_path: Path, workspace: Workspace
) -> None:
    times = ["2024-05-01T01:00:00Z", "2024-05-01T23:00:00Z", "2024-05-02T01:00:00Z"]
    rows = [VIEW | {"session_id": None, "timestamp": time} for time in times]

    import_events(write_jsonl(tmp_path / "e.jsonl", [*rows, VIEW | {"user_id": None}]), MAPPING, workspace)

    events = workspace.events().sort("timestamp").collect()
    ours = events.filter(pl.col("user_id") == "u1")["session_id"].to_list()
    assert ours[0] == ours[1] != ours[2]
    assert events.filter(pl.col("user_id") == "s1")["session_id"].to_list() == ["s1"]


def test_events_and_words_that_are_not_ours_are_counted(tmp_path: Path, workspace: Workspace) -> None:
    rows = [VIEW, VIEW | {"event_name": "scroll"}, VIEW | {"event_name": "scroll"}, VIEW | {"device": "fridge"}]

    report = import_events(write_jsonl(tmp_path / "e.jsonl", rows), MAPPING, workspace)

    assert (report.rows, report.added, report.rejected) == (4, 1, 0)
    assert report.notes == {
        "row left out: event_name 'scroll' is not ours": 2,
        "field left out: device 'fridge' is not ours": 1,
    }
    with pytest.raises(SourceFileError, match=r"none of 2 rows is an event of ours: .*'scroll' is not ours \(2\)"):
        import_events(write_jsonl(tmp_path / "f.jsonl", rows[1:3]), MAPPING, workspace)


def test_events_of_unknown_items_are_kept_and_counted(tmp_path: Path, workspace: Workspace) -> None:
    catalogue = CatalogueMapping({"id": Source(("id",)), "title": Source(("title",))})
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", [{"id": "i1", "title": "t"}]), catalogue, workspace)
    rows = [VIEW | {"item_id": item, "price": n} for n, item in enumerate(["i1", "i2", "i2", "i3"])]

    report = import_events(write_jsonl(tmp_path / "e.jsonl", rows), MAPPING, workspace)

    assert (report.added, report.unknown_items) == (4, 2)


def test_too_many_bad_rows_change_nothing(tmp_path: Path, workspace: Workspace) -> None:
    import_events(write_jsonl(tmp_path / "e.jsonl", [VIEW]), MAPPING, workspace)
    before = tree(workspace.root)

    with pytest.raises(TooManyBadRowsError, match=r"f\.jsonl: 20 of 120 rows are bad .* field 'item_id': is missing"):
        import_events(
            write_jsonl(tmp_path / "f.jsonl", [VIEW | {"price": 3}] * 100 + [VIEW | {"item_id": None}] * 20),
            MAPPING,
            workspace,
        )

    assert tree(workspace.root) == before


def _ga4(name: str, **more: object) -> dict[str, object]:
    params = [{"key": "ga_session_id", "value": {"string_value": None, "int_value": "77"}}]
    row = {"event_date": "20240501", "event_timestamp": "1714564800000000", "event_name": name, "event_params": params}
    return row | {"user_pseudo_id": "105.99", "device": {"category": "tablet", "language": "en-us"}} | more


def test_ga4_export_becomes_one_event_for_each_item(tmp_path: Path, workspace: Workspace) -> None:
    items = [{"item_id": f"i{n}", "item_list_name": "Search results", "price": 5.0 + n} for n in range(3)]
    term = [{"key": "search_term", "value": {"string_value": "oak table"}}]
    rows = [
        _ga4("page_view"),
        _ga4("view_search_results", event_params=[*term, {"key": "ga_session_id", "value": {"int_value": 77}}]),
        _ga4("view_item_list", items=items),
        _ga4("purchase", items=[{"item_id": "i1", "quantity": "2", "price": 6.0, "item_list_index": "4"}]),
    ]

    report = import_events(write_jsonl(tmp_path / "e.jsonl", rows), read_event_mapping(PRESETS / "ga4.toml"), workspace)

    events = workspace.events().sort("event_name", "position").collect()
    columns = ("event_name", "item_id", "position", "list_name", "query", "price", "quantity")
    assert events.select(columns).rows() == [
        ("purchase", "i1", 4, None, None, 6.0, 2),
        ("search", None, None, None, "oak table", None, None),
        ("view_item_list", "i0", 0, "search", None, 5.0, None),
        ("view_item_list", "i1", 1, "search", None, 6.0, None),
        ("view_item_list", "i2", 2, "search", None, 7.0, None),
    ]
    assert set(events["session_id"]) == {"105.99.77"}
    assert set(events["device"]) == {"mobile"}
    assert events["event_id"].is_unique().all()
    assert report.notes == {"row left out: event_name 'page_view' is not ours": 1}


def test_bad_entry_of_a_list_of_items_is_left_out_and_the_others_stay(tmp_path: Path, workspace: Workspace) -> None:
    bad = {"item_id": "(not set)", "item_list_index": "(not set)"}
    rows = [
        _ga4("view_item", items=[{"item_id": "i1", "item_list_index": "(not set)", "item_list_name": "(not set)"}]),
        _ga4("view_item_list", items=[bad, {"item_id": "i2"}, {"item_id": "a\tb"}, {"item_id": "i3", "price": "free"}]),
        _ga4("select_item", items=[bad]),
        _ga4("purchase", items="i1"),
        _ga4(
            "view_search_results", items=[bad], event_params=[{"key": "search_term", "value": {"string_value": "oak"}}]
        ),
    ]

    file = write_jsonl(tmp_path / "e.jsonl", rows)
    report = import_events(file, read_event_mapping(PRESETS / "ga4.toml"), workspace)

    events = workspace.events().sort("event_name", "item_id").collect()
    assert events.select("event_name", "item_id", "position", "list_name").rows() == [
        ("search", None, None, None),
        ("view_item", "i1", None, None),
        ("view_item_list", "i2", 1, None),
        ("view_item_list", "i3", 3, None),
    ]
    assert [(entry.field, entry.count, entry.row) for entry in report.left_out] == [
        ("items.item_id", 1, 2),
        ("items.price", 1, 2),
    ]
    assert report.notes == {
        "entry of a list of items left out: it has no item_id": 3,
        "row left out: none of its items has an item_id": 1,
    }
    assert [(entry.row, entry.field) for entry in report.first_rejections if not entry.row_kept] == [(4, "items")]


def test_given_event_ids_stay_unique_when_items_are_listed(tmp_path: Path, workspace: Workspace) -> None:
    mapping = EventMapping(MAPPING.sources, "items", {"item_id": Source(("id",))})
    row = {key: value for key, value in VIEW.items() if key != "item_id"} | {"event_id": "e1"}

    import_events(write_jsonl(tmp_path / "e.jsonl", [row | {"items": [{"id": "a"}, {"id": "b"}]}]), mapping, workspace)

    assert workspace.events().select("event_id", "item_id").collect().rows() == [("e1.0", "a"), ("e1.1", "b")]


def test_csv_example_reads_as_it_says(tmp_path: Path, workspace: Workspace) -> None:
    lines = (EXAMPLES / "events_csv.toml").read_text().splitlines()
    (tmp_path / "e.csv").write_text("\n".join(line.removeprefix("#   ") for line in lines[1:3]) + "\n")

    import_events(tmp_path / "e.csv", read_event_mapping(EXAMPLES / "events_csv.toml"), workspace)

    event = workspace.events().collect().row(0, named=True)
    assert (event["event_name"], event["item_id"]) == ("view_item_list", "1042")
    assert (event["position"], event["list_name"]) == (0, "search")
    assert workspace.paths.event_days == [workspace.paths.events_of(date(2024, 5, 1))]


def test_ratings_of_dislike_are_left_out(tmp_path: Path, workspace: Workspace) -> None:
    rows = ["user,film,stars,time", "u7,1042,4.5,1714564800", "u7,1043,2.0,1714564801", "u8,1042,5,1714564802"]
    (tmp_path / "ratings.csv").write_text("\n".join(rows) + "\n")

    import_events(tmp_path / "ratings.csv", read_event_mapping(EXAMPLES / "ratings_csv.toml"), workspace)

    events = workspace.events().select("event_name", "user_id", "item_id").collect()
    assert events.rows() == [("rate_item", "u7", "1042"), ("rate_item", "u8", "1042")]


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_a_log_may_hold_one_kind_of_event_only(tmp_path: Path, workspace: Workspace, name: str) -> None:
    event = VIEW | {"event_name": name, "query": "lamp"}

    import_events(write_jsonl(tmp_path / "e.jsonl", [event]), MAPPING, workspace)

    assert workspace.events().collect()["event_name"].to_list() == [name]
