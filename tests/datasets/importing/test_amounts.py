"""An amount of money is read as it was meant, or refused: never as another number."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfuse.datasets.importing.values.amounts import AmountError, currency_code, read_amount

# What a shop writes, what it is, the decimal sign that it tells of ("" none), and its currency.
NOTATIONS = [
    ("19.99", 19.99, ".", ""),
    ("19,99", 19.99, ",", ""),
    ("1299", 1299, "", ""),
    ("1,299.00", 1299, ".", ""),
    ("1.299,00", 1299, ",", ""),
    ("1 299,00", 1299, ",", ""),
    ("1\u00a0299,00", 1299, ",", ""),
    ("1\u202f299,00 \u20ac", 1299, ",", "EUR"),
    ("1\u2009299.5", 1299.5, ".", ""),
    ("1'299.00", 1299, ".", ""),
    ("1\u2019299.00", 1299, ".", ""),
    ("CHF 1'299.-", 1299, ".", "CHF"),
    ("1.299,-", 1299, ",", ""),
    ("12,\u2013 \u20ac", 12, ",", "EUR"),
    ("1,23,456.00", 123456, ".", ""),
    ("\u20b91,23,456", 123456, ".", "INR"),
    ("1,299,000", 1299000, ".", ""),
    ("1.299.000", 1299000, ",", ""),
    ("12.5", 12.5, ".", ""),
    ("0.125", 0.125, ".", ""),
    ("1234.567", 1234.567, ".", ""),
    ("12.3456", 12.3456, ".", ""),
    (".50", 0.5, ".", ""),
    ("24.90 EUR", 24.9, ".", "EUR"),
    ("EUR 12,50", 12.5, ",", "EUR"),
    ("eur12.50", 12.5, ".", "EUR"),
    ("\u20ac19,99*", 19.99, ",", "EUR"),
    ("$1,299.00 CAD", 1299, ".", "CAD"),
    ("US$ 5", 5, "", "USD"),
    ("R$ 1.299,90", 1299.9, ",", "BRL"),
    ("Rp 1.299.000", 1299000, ",", "IDR"),
    ("1 299,00 K\u010d", 1299, ",", "CZK"),
    ("12,50 z\u0142", 12.5, ",", "PLN"),
    ("1.5e3", 1500, ".", ""),
    ("\uff11\uff12\uff0e\uff15", 12.5, ".", ""),
    ("\u0661\u0662\u066b\u0665", 12.5, "\u066b", ""),
]


@pytest.mark.parametrize(("text", "value", "decimal", "currency"), NOTATIONS)
def test_notation_is_read_as_it_was_meant(text: str, value: float, decimal: str, currency: str) -> None:
    amount = read_amount(text)

    assert (amount.value, amount.decimal, amount.grouped) == (value, decimal, None)
    assert amount.currencies == ((currency,) if currency else ())


@pytest.mark.parametrize(
    "text",
    [
        "free",
        "from 12.00",
        "ab 12,00 \u20ac",
        "12.00 - 15.00",
        "12-15",
        "NaN",
        "inf",
        "12.03.2024",
        "1.23.456",
        "1,29,9",
        "12 50",
        "2 for 10.00",
        "12.50 / kg",
        "49.90 EUR 59.90 EUR",
        "12.50 incl. VAT",
        "\u20ac.50",
        "5 USD EUR",
        "$5 EUR",
        "-5",
        "\u22125.00",
        "(12.00)",
        "12.00-",
        "$-5",
        "-$5",
        "1_000",
        "9" * 400,
        "",
        "EUR",
        ".",
        "1.299,00,00",
        "0x10",
    ],
)
def test_what_is_not_one_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        read_amount(text)


@pytest.mark.parametrize(
    ("text", "decimal", "value", "grouped"), [("1.299", ".", 1.299, 1299), ("12,000 kr", ",", 12, 12000)]
)
def test_one_separator_before_three_digits_has_two_readings(
    text: str, decimal: str, value: float, grouped: float
) -> None:
    amount = read_amount(text)

    assert (amount.decimal, amount.value, amount.grouped) == (decimal, value, grouped)


def test_shared_sign_names_all_that_it_may_be() -> None:
    assert {"USD", "CAD"} <= set(read_amount("$5").currencies)
    assert read_amount("1 299 kr").currencies == ("SEK", "NOK", "DKK", "ISK")
    assert read_amount("\u00a51200").currencies == ("JPY", "CNY")
    assert [currency_code(text) for text in ("\u20ac", "eur", "$", "points")] == ["EUR", "EUR", "$", "points"]


@given(
    amount=st.decimals(min_value=0, max_value=10**9, places=None, allow_nan=False, allow_infinity=False),
    places=st.integers(0, 4),
    group=st.sampled_from(["", ",", ".", " ", "'", "\u00a0", "\u202f", "\u2019"]),
    decimal=st.sampled_from([".", ","]),
    around=st.sampled_from(["{}", "{} EUR", "EUR {}", "\u20ac{}", "{}\u00a0\u20ac", "CHF\u00a0{}"]),
)
def test_what_is_written_in_any_convention_is_read_back_or_refused(
    amount: Decimal, places: int, group: str, decimal: str, around: str
) -> None:
    if group == decimal:
        group = ""
    meant = round(amount, places)
    text = f"{meant:,.{places}f}".translate({ord(","): group, ord("."): decimal})

    try:
        read = read_amount(around.format(text))
    except AmountError:
        pytest.fail(f"{text!r} is a convention of shops")

    # of two readings the one with the decimal sign that it was written with
    value = read.value if read.grouped is None or read.decimal == decimal else read.grouped
    assert value == float(meant)


@given(st.text("0123456789.,' -\u20ac$", max_size=12))
def test_no_text_is_read_as_a_number_of_other_digits(text: str) -> None:
    try:
        amount = read_amount(text)
    except AmountError:
        return
    digits = "".join(filter(str.isdecimal, text)).strip("0")

    for reading in (amount.value, amount.grouped):
        if reading is not None:
            assert f"{Decimal(repr(reading)):f}".replace(".", "").strip("0") == digits
