"""What an import costs in each format: rows a second, of the clock and of processor time, and peak memory, each import
in a process of its own.

    python benchmarks/imports.py --rows 1000000 [--formats csv,xml] [--json]
    python benchmarks/imports.py --rows 100000 --sheet-readers

The first seven are a Merchant feed in different formats, the others what shop systems export: with variants, nested
objects, or events. Spreadsheets are left out above a sheet's 1,048,575 rows. `--sheet-readers` reads one by calamine
and by openpyxl, and imports nothing.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import polars as pl

from shopfuse.core.processes import peak_memory_mb

COLUMNS = ("id", "title", "description", "link", "price", "brand", "product_type", "availability", "gtin")
MAX_SHEET_ROWS = 1_048_575


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """A Merchant feed, so that every format is recognised."""
    for number in range(count):
        text = f"Seats {number % 9 + 1}, oiled & sanded by hand, delivered in {number % 30} days."
        yield (
            *(f"item-{number}", f"Oak table {number % 977} Nordholm", text, f"https://shop.example/{number}"),
            *(f"{number % 900 + 0.95:.2f}", f"Brand {number % 211}", f"Home > Tables > T{number % 37}", "in_stock"),
            f"{4_000_000_000_000 + number}",
        )


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(COLUMNS)
        csv.writer(file).writerows(rows(count))


def write_tsv_gz(path: Path, count: int) -> None:
    with gzip.open(path, "wt", encoding="windows-1252", newline="", compresslevel=1) as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(COLUMNS)
        writer.writerows((*row[:1], f"{row[1]} für Gäste", *row[2:]) for row in rows(count))


def write_jsonl(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows(count))


def write_json(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write('{"products": [')
        for number, row in enumerate(rows(count)):
            file.write((",\n" if number else "") + json.dumps(dict(zip(COLUMNS, row, strict=True))))
        file.write("]}")


def write_xml(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write('<rss xmlns:g="http://base.google.com/ns/1.0"><channel>')
        for row in rows(count):
            fields = (f"<g:{name}>{escape(value)}</g:{name}>" for name, value in zip(COLUMNS, row, strict=True))
            file.write(f"<item>{''.join(fields)}</item>\n")
        file.write("</channel></rss>")


def write_parquet(path: Path, count: int) -> None:
    pl.DataFrame(list(rows(count)), schema=list(COLUMNS), orient="row").write_parquet(path)


def write_xlsx(path: Path, count: int) -> None:
    import openpyxl  # type: ignore[import-untyped]

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Products")
    sheet.append(COLUMNS)
    for row in rows(count):
        sheet.append(row)
    book.save(path)


def write_shopify(path: Path, count: int) -> None:
    """Four variants a product; the product's own fields stand in its first row only."""
    head = ("Handle", "Title", "Body (HTML)", "Vendor", "Type", "Option1 Name", "Option1 Value", "Variant SKU")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*head, "Variant Price", "Image Src", "Status"))
        for number, row in enumerate(rows(count)):
            own = (row[1], f"<p>{row[2]}</p>", row[5], "Tables") if number % 4 == 0 else ("", "", "", "")
            option = ("Size", f"{number % 4}", row[0], row[4])
            writer.writerow((f"table-{number // 4}", *own, *option, row[3], "active" if own[0] else ""))


def write_woocommerce(path: Path, count: int) -> None:
    """Products with three variations each, behind their rows: as many rows go in as are not the product's own."""
    head = ("ID", "Type", "SKU", "Name", "Published", "Description", "In stock?", "Regular price", "Categories")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*head, "Parent", "Attribute 1 name", "Attribute 1 value(s)"))
        for number, row in enumerate(rows(count)):
            product = f"P-{number // 3}"
            if number % 3 == 0:
                own = (count + number, "variable", product, row[1], 1, row[2], 1, "", row[6])
                writer.writerow((*own, "", "Size", "0, 1, 2"))
            variation = (number, "variation", row[0], f"{row[1]} - {number % 3}", 1, "", 1, row[4], "")
            writer.writerow((*variation, product, "Size", number % 3))


def write_magento(path: Path, count: int) -> None:
    """Three simple products before the configurable one that lists them."""
    head = ("sku", "store_view_code", "product_type", "name", "description", "price", "categories")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*head, "additional_attributes", "configurable_variations", "is_in_stock"))
        listed: list[str] = []
        for number, row in enumerate(rows(count), start=1):
            pairs = f"size={number % 3},colour=oak"
            writer.writerow((row[0], "", "simple", row[1], row[2], row[4], "", pairs, "", 1))
            listed.append(f"sku={row[0]},size={number % 3}")
            if number % 3 == 0 or number == count:
                own = (f"P-{number}", "", "configurable", row[1], row[2], row[4], "Default Category/Home/Tables", "")
                writer.writerow((*own, "|".join(listed), 1))
                listed.clear()


def write_ga4(path: Path, count: int) -> None:
    """Purchases, each of one item."""
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows(count)):
            event = {
                "event_name": "purchase",
                "event_timestamp": str(1_764_547_200_000_000 + number * 1_000_000),
                "user_pseudo_id": f"u{number % 50_021}",
                "event_params": [{"key": "ga_session_id", "value": {"int_value": str(number // 5)}}],
                "device": {"category": "mobile", "language": "en-us"},
                "items": [{"item_id": row[0], "price": row[4], "quantity": "1", "item_list_index": "3"}],
            }
            file.write(json.dumps(event) + "\n")


def write_ubi(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows(count)):
            attributes = {"object": {"object_id": row[0]}, "position": {"ordinal": number % 20}}
            event = {
                "action_name": "click",
                "client_id": f"u{number % 50_021}",
                "query_id": f"q{number // 3}",
                "timestamp": 1_764_547_200_000 + number * 1000,
                "event_attributes": attributes,
            }
            file.write(json.dumps(event) + "\n")


EVENTS = ("ga4", "ubi")
SHEET_READERS = ("calamine", "openpyxl")
WRITERS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "csv": ("p.csv", write_csv),
    "tsv.gz": ("p.txt.gz", write_tsv_gz),  # windows-1252
    "jsonl": ("p.jsonl", write_jsonl),
    "json": ("p.json", write_json),
    "xml": ("p.xml", write_xml),
    "parquet": ("p.parquet", write_parquet),
    "xlsx": ("p.xlsx", write_xlsx),
    "shopify": ("shopify.csv", write_shopify),
    "woocommerce": ("woocommerce.csv", write_woocommerce),
    "magento": ("magento.csv", write_magento),
    "ga4": ("ga4.jsonl", write_ga4),
    "ubi": ("ubi.jsonl", write_ubi),
}


def import_one(file: Path, shop: Path) -> None:
    """Runs in a process of its own: prints rows, seconds and the highest memory, in MB."""
    from shopfuse.datasets.importing.catalogue import import_catalogue
    from shopfuse.datasets.importing.events import import_events
    from shopfuse.datasets.importing.formats.recognition import (
        EVENT,
        ITEM,
        catalogue_mapping_of,
        event_mapping_of,
        recognised,
    )
    from shopfuse.datasets.workspace import Workspace

    workspace = Workspace.create(shop)
    started = time.perf_counter()
    if file.stem in EVENTS:
        report = import_events(file, event_mapping_of(recognised(file, EVENT, file.parent)), workspace)
    else:
        report = import_catalogue(file, catalogue_mapping_of(recognised(file, ITEM, file.parent)), workspace)
    print_cost(report.added, time.perf_counter() - started)


def print_cost(count: int, seconds: float) -> None:
    cost = {
        "rows": count,
        "seconds": round(seconds, 2),
        "cpu_s": round(time.process_time(), 2),
        "peak_mb": peak_memory_mb(),
    }
    print(json.dumps(cost))


def read_one(file: Path, reader: str) -> None:
    """Only reads the rows of a workbook; runs in a process of its own."""
    started = time.perf_counter()
    if reader == "calamine":
        import python_calamine

        count = sum(1 for _ in python_calamine.CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).iter_rows())
    else:
        import openpyxl

        count = sum(1 for _ in openpyxl.load_workbook(file, read_only=True).worksheets[0].iter_rows(values_only=True))
    print_cost(count - 1, time.perf_counter() - started)


def in_own_process(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    cost: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return cost


def speeds(cost: dict[str, float]) -> dict[str, int]:
    """The processor's seconds include the start of the process, about one and a half."""
    return {
        name: round(cost["rows"] / cost[of]) for name, of in (("rows_per_s", "seconds"), ("rows_per_cpu_s", "cpu_s"))
    }


def compare_sheet_readers(count: int, folder: Path) -> list[dict[str, object]]:
    file = folder / "p.xlsx"
    write_xlsx(file, count)
    size = round(file.stat().st_size / 2**20, 1)
    costs = [(reader, in_own_process("--read", str(file), "--reader", reader)) for reader in SHEET_READERS]
    return [{"name": reader, "file_mb": size, **speeds(cost), **cost} for reader, cost in costs]


def measure(name: str, count: int, folder: Path) -> dict[str, object]:
    """Write the file, import it, remove it."""
    file_name, write = WRITERS[name]
    file, shop = folder / file_name, folder / "shop"
    write(file, count)
    done = in_own_process("--import", str(file), "--shop", str(shop))
    if done["rows"] != count:
        raise SystemExit(f"{name}: {done['rows']} of {count} rows went in")
    size = file.stat().st_size / 2**20
    file.unlink()
    subprocess.run(["rm", "-r", str(shop)], check=True)
    return {"name": name, "file_mb": round(size, 1), **speeds(done), **done}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", default=",".join(WRITERS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--import", dest="file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shop", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sheet-readers", action="store_true", help="calamine and openpyxl, reading alone")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--reader", choices=SHEET_READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        import_one(options.file, options.shop)
        return
    if options.read:
        read_one(options.read, options.reader)
        return
    measured: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        if options.sheet_readers:
            measured = compare_sheet_readers(options.rows, Path(folder))
        for name in () if options.sheet_readers else options.formats.split(","):
            if name == "xlsx" and options.rows > MAX_SHEET_ROWS:
                print(f"xlsx: a sheet has at most {MAX_SHEET_ROWS} rows beside its header; left out", file=sys.stderr)
                continue
            measured.append(measure(name, options.rows, Path(folder)))
    print(f"{'format':<11} {'file MB':>8} {'rows':>9} {'rows/s':>8} {'rows/cpu s':>10} {'peak MB':>8}")
    for row in measured:
        speed = f"{row['rows_per_s']:>8} {row['rows_per_cpu_s']:>10}"
        print(f"{row['name']:<11} {row['file_mb']:>8} {row['rows']:>9} {speed} {row['peak_mb']:>8}")
    if options.json:
        print(json.dumps({"rows": measured}))


if __name__ == "__main__":
    main()
