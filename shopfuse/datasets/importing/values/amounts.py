# ruff: noqa: RUF001  (letters of other scripts are what some currencies are written with)
"""Amounts of money as shops write them: `1.299,00 €`, `$1,299.00`, `CHF 1'299.-`, `Rs. 1,23,456`.

A text has one reading, two (`1.299` is a thousand and more, or a little over one: its column decides), or none. Nothing
is guessed: what is left over beside the number, its separators and one currency makes it no amount.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

# ISO 4217, without funds, metals and test codes.
_CODES: Final = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
    MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
    USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CODES: Final = frozenset(_CODES.split())
# Without a smaller unit, or without one that prices are written in: a separator before three digits groups thousands.
WHOLE_CODES: Final = (
    *("BIF", "CLP", "COP", "DJF", "GNF", "HUF", "IDR", "IRR", "ISK", "JPY", "KHR", "KMF", "KRW", "LAK", "LBP", "MMK"),
    *("PYG", "RWF", "TZS", "UGX", "UZS", "VND", "VUV", "XAF", "XOF", "XPF"),
)
# A sign or word on each line, and what it may stand for: several currencies share some of them.
_SIGNS: Final = """
    $ USD AUD ARS CAD CLP COP HKD MXN NZD SGD TWD UYU XCD BBD BSD JMD TTD
    us$ USD
    u$s USD
    ca$ CAD
    c$ CAD NIO
    a$ AUD
    au$ AUD
    nz$ NZD
    hk$ HKD
    s$ SGD
    sg$ SGD
    nt$ TWD
    mx$ MXN
    r$ BRL
    £ GBP
    € EUR
    ¥ JPY CNY
    jp¥ JPY
    cn¥ CNY
    円 JPY
    元 CNY TWD HKD
    rmb CNY
    ₩ KRW KPW
    원 KRW
    ₹ INR
    rs INR PKR LKR NPR MUR SCR
    ₽ RUB
    руб RUB BYN
    р RUB BYN
    ₺ TRY
    tl TRY
    ₴ UAH
    грн UAH
    ₪ ILS
    ฿ THB
    ₫ VND
    đ VND
    ₱ PHP CUP
    ₦ NGN
    ₵ GHS
    ₡ CRC
    ₲ PYG
    ₸ KZT
    ₾ GEL
    ₼ AZN
    kr SEK NOK DKK ISK
    dkr DKK
    nkr NOK
    skr SEK
    :- SEK NOK
    zł PLN
    zl PLN
    kč CZK
    kc CZK
    ft HUF
    lei RON MDL
    лв BGN KGS
    дин RSD
    din RSD MKD
    fr CHF XOF XAF XPF CDF
    sfr CHF
    euro EUR
    euros EUR
    r ZAR
    rm MYR
    rp IDR
    s/ PEN
    ksh KES
    tk BDT
    ৳ BDT
    dh AED MAD
    dhs AED MAD
"""
SIGNS: Final = {sign: tuple(codes) for sign, *codes in map(str.split, _SIGNS.strip().splitlines())}

_TYPOGRAPHY: Final = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u2002\u2003\u2004\u2005\u2006\u3000\t", " ")
    | dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4`\u066c", "'")
    | dict.fromkeys("\u2212\u2013\u2014\u2010\u2011", "-")
    | {"\uffe5": "¥", "\uff04": "$", "\uff0c": ",", "\uff0e": ".", "\u200e": None, "\u200f": None}
)
_PLAIN: Final = re.compile(r"\d+(?:\.\d{1,2})?", re.ASCII)
_SCIENTIFIC: Final = re.compile(r"\d+(?:\.\d+)?[eE][+-]?\d+", re.ASCII)
_NO_CENTS: Final = re.compile(r"(?<=\d)([.,])(?:--?|=)(?!\d)")  # 1299.- and 12,--
_SPLIT: Final = re.compile(r"([^\d]*?)((?<![^\s])[.,]\d+|\d(?:[\d.,' \u066b]*\d)?)([^\d]*)")
_INDIAN: Final = re.compile(r"(\d{1,2}(?:,\d{2})*,\d{3})(?:(\.)(\d+))?")
_GROUPED: Final = tuple(
    re.compile(rf"(\d{{1,3}}(?:{group}\d{{3}})+)(?:({decimal})(\d+))?")
    for group, decimal in ((",", r"[.\u066b]"), (r"\.", r"[,\u066b]"), (" ", r"[.,\u066b]"), ("'", r"[.,\u066b]"))
)
_ONE_MARK: Final = re.compile(r"(\d*)([.,\u066b])(\d+)")


class AmountError(ValueError):
    """The text is no amount of money, or not one amount; the text of the error says what was expected."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One amount. `grouped` is its other reading, where its one separator could stand before thousands."""

    value: float
    decimal: str = ""  # its decimal sign; "" where it has none; of two readings, the separator in question
    grouped: float | None = None
    currencies: tuple[str, ...] = ()  # codes that its sign or code may stand for; none where it has none


def read_amount(text: str) -> Amount:
    """Read one amount; AmountError where there is none, several, or a negative one."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return Amount(_finite(text), "." if "." in text else "")
    if _SCIENTIFIC.fullmatch(text):
        return Amount(_finite(text), ".")
    split = _SPLIT.fullmatch(_NO_CENTS.sub(r"\g<1>00", text.translate(_TYPOGRAPHY).strip(" *")))
    if split is None:
        raise AmountError("expected one price such as 1,299.00 or 12,50 EUR")
    before, number, after = split.groups()
    if (
        before.strip().startswith(("-", "("))
        or before.endswith("-")
        or (after.startswith("-") and not after.strip("- "))
    ):
        raise AmountError("expected a positive number")
    currencies = _both(_currencies(before), _currencies(after))
    return _number(number, currencies)


def currency_code(text: str) -> str:
    """A currency as its code where the text is a code or the sign of one currency alone, else the text."""
    currencies = _SPELLED.get(text.strip().casefold(), ())
    return currencies[0] if len(currencies) == 1 else text


def _currencies(word: str) -> tuple[str, ...]:
    word = word.strip().casefold()
    if not word:
        return ()
    short = word[:-1] if word.endswith(".") and word[:-1].isalpha() else ""  # Rs. and kr., but not €.50
    currencies = _SPELLED.get(word) or SIGNS.get(short)
    if currencies is None:
        raise AmountError("expected one price such as 1,299.00 or 12,50 EUR")
    return currencies


def _both(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """What $12.50 CAD says: what both of its words may stand for."""
    if not before or not after:
        return before or after
    shared = tuple(code for code in before if code in after)
    if not shared:
        raise AmountError("expected one currency")
    return shared


def _number(text: str, currencies: tuple[str, ...]) -> Amount:
    if text.isdecimal():
        return Amount(_finite(text), "", None, currencies)
    one = _ONE_MARK.fullmatch(text)
    if one:
        whole, mark, rest = one.groups()
        value = _finite(f"{whole or 0}.{rest}")
        two_ways = mark != "\u066b" and len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
        return Amount(value, mark, _finite(whole + rest) if two_ways else None, currencies)
    for pattern in (*_GROUPED, _INDIAN):
        if match := pattern.fullmatch(text):
            whole, mark, rest = match.groups()
            digits = re.sub(r"\D", "", whole)
            return Amount(_finite(f"{digits}.{rest or 0}"), mark or _other(whole), None, currencies)
    raise AmountError("expected thousands in groups of three and one decimal sign")


def _other(whole: str) -> str:
    """The decimal sign that an amount without one tells of all the same: not what its thousands are grouped by."""
    return "," if "." in whole else "." if "," in whole else ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise AmountError("expected a positive number")
    return number


_SPELLED: Final = {code.casefold(): (code,) for code in CODES} | SIGNS
