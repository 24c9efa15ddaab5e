"""Text normalisation: hostile input stays cheap, ordinary input stays as it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfuse.ranking.text import MAX_QUERY, attribute_ids, item_text, normalise_query, searchable


@given(st.text(max_size=3000))
def test_normalising_is_bounded_and_idempotent(query: str) -> None:
    once = normalise_query(query)

    assert len(once) <= MAX_QUERY
    assert normalise_query(once) == once


def test_ordinary_queries_are_kept() -> None:
    assert normalise_query("  red  running\tshoes ") == "red running shoes"
    assert normalise_query('café 16" №5') == 'café 16" No5'


def test_a_flood_of_combining_marks_costs_little() -> None:
    flood = "a" + "\u0300\u0323" * 50_000
    started = time.process_time()
    short = normalise_query(flood)

    assert time.process_time() - started < 0.5  # it takes a ten-thousandth; to normalise the whole flood takes seconds
    assert len(short) <= 3


@pytest.mark.parametrize(
    ("query", "expected"), [("🛒🛒", False), ("\x00\x07", False), ("", False), ("手机", True), ("a", True)]
)
def test_searchable_needs_a_letter_or_digit(query: str, expected: bool) -> None:
    assert searchable(normalise_query(query)) is expected


def test_item_text_names_the_brand_once() -> None:
    assert item_text("Acme drill", "Acme", ["Tools", "Drills"], "Strong.") == "Acme drill. Drills. Strong."
    assert item_text("drill", "Acme", [], "") == "Acme drill"


def test_attribute_ids_are_stable_and_padded() -> None:
    ids = attribute_ids("Acme", ["Tools", "Drills"], [("colour", "red")])

    assert (ids[:4] > 0).all()
    assert (ids[4:] == 0).all()
    assert len(set(ids[:4])) == 4
