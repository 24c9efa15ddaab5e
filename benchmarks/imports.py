"""What an import costs in each format: rows a second and peak memory, each import in a process of its own.

    python benchmarks/imports.py --rows 1000000 [--formats csv,xml] [--json]

Spreadsheets are left out above a sheet's 1,048,575 rows. Needs openpyxl to write one; without it that row is left out,
and told.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import polars as pl

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
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Products")
    sheet.append(COLUMNS)
    for row in rows(count):
        sheet.append(row)
    book.save(path)


WRITERS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "csv": ("p.csv", write_csv),
    "tsv.gz": ("p.txt.gz", write_tsv_gz),  # windows-1252
    "jsonl": ("p.jsonl", write_jsonl),
    "json": ("p.json", write_json),
    "xml": ("p.xml", write_xml),
    "parquet": ("p.parquet", write_parquet),
    "xlsx": ("p.xlsx", write_xlsx),
}


def import_one(file: Path, shop: Path) -> None:
    """Runs in a process of its own: prints rows, seconds and the highest memory, in MB."""
    from shopfuse.datasets.importing.catalogue import import_catalogue
    from shopfuse.datasets.importing.formats.recognition import ITEM, catalogue_mapping_of, recognised
    from shopfuse.datasets.workspace import Workspace

    workspace = Workspace.create(shop)
    started = time.perf_counter()
    report = import_catalogue(file, catalogue_mapping_of(recognised(file, ITEM, file.parent)), workspace)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": report.added, "seconds": round(seconds, 2), "peak_mb": round(peak)}))


def measure(name: str, count: int, folder: Path) -> dict[str, object]:
    """Write the file, import it, remove it."""
    file_name, write = WRITERS[name]
    file, shop = folder / file_name, folder / "shop"
    write(file, count)
    command = [sys.executable, __file__, "--import", str(file), "--shop", str(shop)]
    done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    if done["rows"] != count:
        raise SystemExit(f"{name}: {done['rows']} of {count} rows went in")
    size = file.stat().st_size / 2**20
    file.unlink()
    subprocess.run(["rm", "-r", str(shop)], check=True)
    return {"name": name, "file_mb": round(size, 1), "rows_per_s": round(count / done["seconds"]), **done}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", default=",".join(WRITERS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--import", dest="file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shop", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        import_one(options.file, options.shop)
        return
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.formats.split(","):
            if name == "xlsx" and options.rows > MAX_SHEET_ROWS:
                print(f"xlsx: a sheet has at most {MAX_SHEET_ROWS} rows beside its header; left out", file=sys.stderr)
                continue
            try:
                measured.append(measure(name, options.rows, Path(folder)))
            except ModuleNotFoundError as error:
                print(f"{name}: left out, {error.name} is not installed", file=sys.stderr)
    print(f"{'format':<9} {'file MB':>8} {'rows':>9} {'rows/s':>8} {'peak MB':>8}")
    for row in measured:
        print(f"{row['name']:<9} {row['file_mb']:>8} {row['rows']:>9} {row['rows_per_s']:>8} {row['peak_mb']:>8}")
    if options.json:
        print(json.dumps({"rows": measured}))


if __name__ == "__main__":
    main()
