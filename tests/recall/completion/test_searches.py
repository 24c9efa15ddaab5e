"""Searches become completions where enough users went on from them, and where they name nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.recall.completion.entries import Searched
from tests.recall.completion.shop import completions, item, texts, titled


def searched(text: str, users: int = 5, rows: tuple[int, ...] = (0, 0, 0, 0, 1)) -> Searched:
    return Searched(text, users, np.array(rows, np.int32))


def test_a_search_is_completed_to_and_weighs_as_much_as_it_was_gone_on_from(tmp_path: Path) -> None:
    items = titled("red wellingtons", "red wellingtons", "wetsuit", "wetsuit", "wetsuit")
    index = completions(tmp_path, items, searched=[searched("Welly boots ", 30, (0,) * 20 + (1,) * 10)])

    (first, *_) = index.complete("we", 8, ("q",))
    assert (first.text, first.items) == ("welly boots", 2)


def test_a_search_that_is_a_phrase_too_is_one_completion(tmp_path: Path) -> None:
    index = completions(
        tmp_path, titled("Rain coat", "Rain coat"), searched=[searched("rain coat"), searched("coats rain")]
    )

    assert texts(index, "rain") == ["rain coat"]


def test_a_search_that_led_to_nothing_that_is_sold_now_is_left_out(tmp_path: Path) -> None:
    items = [item(0, "fax", available=False), item(1, "fax", available=False), item(2, "rug")]

    assert texts(completions(tmp_path, items, searched=[searched("telefax")]), "tele") == []


def test_a_slip_that_many_make_is_no_completion(tmp_path: Path) -> None:
    index = completions(tmp_path, titled("keyboard", "keyboard"), searched=[searched("keybord"), searched("keys set")])

    assert set(texts(index, "key")) == {"keyboard", "keys set"}


@pytest.mark.parametrize(
    "private",
    [
        *("jo.smith@mail.example", "call 06 12 34 56 78", "4929 1234 1234 1234", "order 100-2345678", "www.my.example"),
        *("https://x.example/a", "user-0042 lamp", "USER-0042", "x" * 200),
    ],
)
def test_what_could_reach_or_name_a_person_is_never_shown(tmp_path: Path, private: str) -> None:
    index = completions(
        tmp_path, titled("lamp", "lamp"), searched=[searched(private), searched("lava")], users=["user-0042"]
    )

    assert not any(texts(index, private[:length]) == [private.lower()] for length in range(1, 60))
    assert texts(index, "lav") == ["lava"]


def test_a_number_that_the_catalogue_has_names_nobody(tmp_path: Path) -> None:
    index = completions(tmp_path, titled("phone 15", "phone 15"), searched=[searched("15 phone case")], users=["15"])

    assert texts(index, "15 ph") == ["15 phone case"]
