"""The languages that a shop's words can be in: how text of each is cut into words and reduced to stems.

A table only. recall/words/analysis.py does the cutting; which language a shop has is `language` in its shop.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopfuse.core.errors import ShopfuseError


@dataclass(frozen=True, slots=True)
class Language:
    """`name`: in English. `stemmer`: of Snowball, "" for none; of the Latin words where a script has no stems.
    `compounds`: words are written in one. `digraphs`: two letters that are typed for one with a mark."""

    name: str
    stemmer: str
    compounds: bool = False
    digraphs: tuple[str, ...] = ()


UNDETERMINED = "und"
LANGUAGES = {
    "ar": Language("Arabic", "arabic"),
    "da": Language("Danish", "danish", compounds=True, digraphs=("aa", "oe")),
    "de": Language("German", "german", compounds=True, digraphs=("ae", "oe", "ue")),
    "el": Language("Greek", "greek"),
    "en": Language("English", "english"),
    "es": Language("Spanish", "spanish"),
    "fi": Language("Finnish", "finnish", compounds=True),
    "fr": Language("French", "french"),
    "hu": Language("Hungarian", "hungarian"),
    "it": Language("Italian", "italian"),
    "ja": Language("Japanese", "english"),
    "nl": Language("Dutch", "dutch", compounds=True),
    "no": Language("Norwegian", "norwegian", compounds=True, digraphs=("aa", "oe")),
    "pt": Language("Portuguese", "portuguese"),
    "ro": Language("Romanian", "romanian"),
    "ru": Language("Russian", "russian"),
    "sv": Language("Swedish", "swedish", compounds=True),
    "ta": Language("Tamil", "tamil"),
    "th": Language("Thai", "english"),
    "tr": Language("Turkish", "turkish"),
    UNDETERMINED: Language("undetermined", ""),  # words as they are written, for every other language with spaces
    "zh": Language("Chinese", "english"),
}
DEFAULT_LANGUAGE = "en"  # where there is no catalogue to recognise one from


class UnknownLanguage(ShopfuseError):
    """A language code that is not in the table."""


def language_of(code: str) -> Language:
    """The language of a code such as "de" or "de-AT"; the region makes no difference.

    Raises UnknownLanguage.
    """
    language = LANGUAGES.get(code.split("-")[0])
    if language is None:
        raise UnknownLanguage(
            f"language {code!r}: expected one of {', '.join(LANGUAGES)}, or one of them with a region"
        )
    return language
