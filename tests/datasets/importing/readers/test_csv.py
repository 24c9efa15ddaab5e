"""CSV as spreadsheets and shop systems write it: delimiters, encodings and line ends are found, never guessed away."""

import codecs
import zipfile
from pathlib import Path

import pytest

from shopfuse.datasets.importing.readers.tables import FileOptions
from shopfuse.datasets.importing.source_file import SourceFileError
from tests.datasets.importing.readers.reading import opened, read

CUP, MUG = {"id": "1", "name": "Cup", "price": "2,50"}, {"id": "2", "name": "Mug", "price": "3,50"}


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("id;name;price\n1;Cup;2,50\n2;Mug;3,50\n", "semicolons"),
        ("id\tname\tprice\r\n1\tCup\t2,50\r\n2\tMug\t3,50\r\n", "tabs"),
        ("id|name|price\n1|Cup|2,50\n2|Mug|3,50", "'|'"),
        ('id,name,price\n1,Cup,"2,50"\n2,Mug,"3,50"\n', "commas"),
        ("sep=;\nid;name;price\n1;Cup;2,50\n2;Mug;3,50\n", "semicolons"),
        ('"sep=|"\r\nid|name|price\r\n1|Cup|2,50\r\n2|Mug|3,50\r\n', "'|'"),
        ("id;name;price;;\n1;Cup;2,50;;\n2;Mug;3,50;;\n", "semicolons"),
        ("id;name;price\n1;Cup;2,50;\n2;Mug;3,50;;\n", "semicolons"),
        ("id;name;price;\n1;Cup;2,50\n2;Mug;3,50\n", "semicolons"),
        ("id;name;price\r\n1;Cup;2,50\n2;Mug;3,50\r", "semicolons"),
        ("id;name;price\r1;Cup;2,50\r2;Mug;3,50\r", "semicolons"),
        ("\ufeffid;name;price\n1;Cup;2,50\n2;Mug;3,50\n;;\n\n", "semicolons"),
    ],
)
def test_the_same_rows_whatever_the_delimiter_and_line_ends(tmp_path: Path, text: str, described: str) -> None:
    assert f"separated by {described}," in opened(tmp_path / "any.txt", text.encode()).described
    assert [row for _, row in read(tmp_path / "any.txt", text.encode())] == [CUP, MUG]


def test_delimiter_is_that_of_most_rows_not_of_the_header(tmp_path: Path) -> None:
    text = "Title, long;Price, net\n" + "Oak table, oiled;1299,00\nLamp;12,00\n" * 20

    assert opened(tmp_path / "p.csv", text.encode()).columns == ["Title, long", "Price, net"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("windows-1252", "Möbel > Stühle, crème brûlée, 12 €, señor"),
        ("windows-1250", "Křeslo a židle, příliš žluťoučký kůň"),
        ("windows-1251", "Кружка белая, чашка с блюдцем"),  # noqa: RUF001
        ("windows-1253", "Φλιτζάνι του καφέ, λευκό και μπλε"),
        ("cp932", "コーヒーカップ、マグ 白い"),
        ("gb18030", "咖啡杯，手机壳，白色的桌子"),  # noqa: RUF001
        ("utf-16", "Möbel > Stühle"),
        ("utf-16-le", "Tische und Baenke"),
        ("utf-8-sig", "Möbel > Stühle"),
    ],
)
def test_encoding_is_recognised(tmp_path: Path, encoding: str, words: str) -> None:
    text = "id;name\n" + f'1;"{words}"\n' * 3

    assert read(tmp_path / "p.csv", text.encode(encoding))[0] == (2, {"id": "1", "name": words})


def test_encoding_of_the_mapping_wins_and_a_late_foreign_byte_is_seen(tmp_path: Path) -> None:
    late = "id;name\n" + "1;Cup\n" * 200_000 + "2;Stühle\n"

    assert read(tmp_path / "p.csv", late.encode("cp1252"))[-1][1] == {"id": "2", "name": "Stühle"}
    assert read(tmp_path / "p.csv", b"id;name\n1;\xb3\n", FileOptions(encoding="cp1250"))[0][1]["name"] == "ł"


def test_bytes_that_the_encoding_lacks_are_told_with_row_and_place(tmp_path: Path) -> None:
    data = "id;name\n1;Stühle\n2;".encode("cp1252") + b"\x81\n3;" + "Bänke\n".encode("cp1252")

    assert read(tmp_path / "p.csv", data, FileOptions(encoding="windows-1252")) == [
        (2, {"id": "1", "name": "Stühle"}),
        (3, "not valid windows-1252: byte 0x81, after 2 bytes of the row"),
        (4, {"id": "3", "name": "Bänke"}),
    ]


def test_damaged_utf16_is_an_error_that_names_the_byte(tmp_path: Path) -> None:
    data = codecs.BOM_UTF16_LE + "id;name\n1;Cup\n".encode("utf-16-le") + b"\x00\xdc\n\x00"

    with pytest.raises(SourceFileError, match="not utf-16: byte 0x00 after"):
        read(tmp_path / "p.csv", data)


def test_more_cells_than_columns_are_a_problem_of_that_row(tmp_path: Path) -> None:
    assert read(tmp_path / "p.csv", b"id,name\n1,Cup, blue\n2,Mug\n") == [
        (2, "expected 2 cells as in the header, got 3"),
        (3, {"id": "2", "name": "Mug"}),
    ]


def test_quote_that_is_never_closed_is_one_error_in_a_file_of_any_length(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="row 2 opens a quote that is never closed"):
        read(tmp_path / "p.csv", b'id,name\n1,"Cup\n' + b"2,Mug\n" * 400_000)


def test_one_file_in_a_zip_is_read_and_several_are_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    with zipfile.ZipFile(one, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.csv", "id,name\n1,Cup\n")
        archive.writestr("__MACOSX/._export.csv", b"\0\1\2")
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.csv", "id\n1\n")
        archive.writestr("b.csv", "id\n1\n")

    assert read(tmp_path / "one.zip", one.read_bytes()) == [(2, {"id": "1", "name": "Cup"})]
    with pytest.raises(SourceFileError, match=r"expected one file in the archive, got 2: a\.csv, b\.csv"):
        opened(two, two.read_bytes())
    with pytest.raises(SourceFileError, match="zip data is damaged or ends too early"):
        opened(tmp_path / "cut.zip", one.read_bytes()[:-30])
