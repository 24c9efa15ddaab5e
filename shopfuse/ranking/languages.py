"""The languages that a shop's words can be in: how text of each is cut into words and reduced to stems.

A table only. recall/words/analysis.py does the cutting; which language a shop has is `language` in its shop.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopfuse.core.errors import ShopfuseError


@dataclass(frozen=True, slots=True)
class Language:
    """`stemmer`: the name of the Snowball stemmer, "" for none. `segmented`: words are not separated by spaces.
    `compounds`: they are written in one. `digraphs`: two letters that are typed for one with a mark."""

    stemmer: str
    segmented: bool = False
    compounds: bool = False
    digraphs: tuple[str, ...] = ()


LANGUAGES = {
    "ar": Language("arabic"),
    "da": Language("danish", compounds=True, digraphs=("aa", "oe")),
    "de": Language("german", compounds=True, digraphs=("ae", "oe", "ue")),
    "el": Language("greek"),
    "en": Language("english"),
    "es": Language("spanish"),
    "fi": Language("finnish", compounds=True),
    "fr": Language("french"),
    "hu": Language("hungarian"),
    "it": Language("italian"),
    "nl": Language("dutch", compounds=True),
    "no": Language("norwegian", compounds=True, digraphs=("aa", "oe")),
    "pt": Language("portuguese"),
    "ro": Language("romanian"),
    "ru": Language("russian"),
    "sv": Language("swedish", compounds=True),
    "ta": Language("tamil"),
    "tr": Language("turkish"),
    "und": Language(""),  # undetermined: words as they are written, for every other language with spaces
    "zh": Language("english", segmented=True),  # the stemmer is for the Latin words among the Chinese ones
}
DEFAULT_LANGUAGE = "en"


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
