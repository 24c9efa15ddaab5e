"""Reading leave-one-out files and the items' attributes: what is taken, what is left out, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopfuse.datasets.sequences import MAX_ATTRIBUTES, MAX_ID, SequencesError, read_attributes, read_sequences


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "sequences.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_items_keep_their_order_and_short_users_are_counted(tmp_path: Path) -> None:
    read = read_sequences(write(tmp_path, "u1 b a c\n\nu2 a b\r\nu3\tc a b b\n"))

    assert read.users == ("u1", "u3")
    assert read.items == ("b", "a", "c")
    assert read.events.tolist() == [0, 1, 2, 2, 1, 0, 0]
    assert read.starts.tolist() == [0, 3, 7]
    assert read.left_out == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("u1 a b c\nu2\n", "line 2: expected `user item item ...`, found only 'u2'"),
        ("u1,a,b,c\n", "line 1: expected `user item item ...`, found only 'u1,a,b,c'"),
        ("u1 a b c\nu2 a b\nu2 a b c\n", "line 3: user 'u2' was already on line 2"),
        ("u1 a b \x00c\n", "line 1: '\\x00c' is no id"),
        (f"u1 a b c\nu2 a {'x' * (MAX_ID + 1)} b\n", "line 2: 'xxx"),
        (b"u1 a b c\nu2 a \xff b\n", "line 2: not UTF-8"),
        ("", "no user with at least 3 items (0 with fewer)"),
        ("u1 a b\nu2 a\n", "no user with at least 3 items (2 with fewer)"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SequencesError) as raised:
        read_sequences(write(tmp_path, content))

    assert message in str(raised.value)
    assert "sequences.txt" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SequencesError, match=r"gone.txt: cannot be read \(No such file"):
        read_sequences(tmp_path / "gone.txt")


def test_attributes_of_unknown_items_are_counted_and_missing_ones_are_none(tmp_path: Path) -> None:
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps({"a": [7, "red", 7], "c": [], "nobody's": [9]}))

    read = read_attributes(path, ("a", "b", "c"))

    assert read.ids.tolist() == [0, 1]
    assert read.starts.tolist() == [0, 2, 2, 2]
    assert (read.count, read.described, read.unknown_items) == (2, 1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": [1,}', "line 1: not JSON"),
        ("[1, 2]", 'expected {"item": [attribute, ...]}, found a list'),
        ('{"a": "red"}', "item 'a': expected a list"),
        ('{"a": [1, null]}', "item 'a': attribute 'None' is neither a string nor a number"),
        ('{"a": [true]}', "item 'a': attribute 'True' is neither"),
        (json.dumps({"a": list(range(MAX_ATTRIBUTES + 1))}), f"item 'a': expected a list of up to {MAX_ATTRIBUTES}"),
    ],
)
def test_attributes_of_another_form_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "attributes.json"
    path.write_text(content)

    with pytest.raises(SequencesError) as raised:
        read_attributes(path, ("a",))

    assert message in str(raised.value)
