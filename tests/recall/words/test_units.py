"""Numbers with units: one word for each measure, however it is written."""

from __future__ import annotations

import pytest

from shopfuse.recall.words.units import measures, with_measures


@pytest.mark.parametrize(
    ("query", "item"),
    [
        ("16gb laptop", "Laptop 16 GB DDR4"),
        ('15" laptop', 'Notebook 39.6 cm (15.6")'),
        ("15 inch laptop", "Notebook, 15.6-inch"),
        ("1tb ssd", "SSD 1000 GB"),
        ("1 tb ssd", "SSD 1TB"),
        ("1,000 mah", "Powerbank 1000mAh"),
        ("1,5 l kettle", "Kettle 1.5 L"),
        ("2.4ghz", "Router 2400 MHz"),
        ("500ml", "保温杯500毫升"),
    ],
)
def test_a_measure_is_one_word_however_it_is_written(query: str, item: str) -> None:
    (wanted,) = measures(query)[:1]

    assert wanted in measures(item)
    assert wanted in with_measures(query).split()


@pytest.mark.parametrize(
    ("query", "item"), [("14 inch", '15.6"'), ("15.6 inch", '15"'), ("8gb", "16 GB"), ("1 gb", "1 TB")]
)
def test_another_measure_is_another_word(query: str, item: str) -> None:
    assert not set(with_measures(query).split()) & set(measures(item))


@pytest.mark.parametrize("text", ["10 in 1", "dv7-1211ea", "WH-1000XM4", "usb 3.0", "9" * 40 + " gb", "", "gb"])
def test_other_numbers_stay_as_they_are(text: str) -> None:
    assert measures(text) == []
    assert with_measures(text) == text


def test_a_measure_stays_one_word_of_letters_and_digits() -> None:
    assert all(word.isalnum() for word in measures('0.5 mm, 123456 tb, 1.25 GHz, 999999", 12.345 kg'))
