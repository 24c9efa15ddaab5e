"""Plain text out of texts that hold HTML: entities are the characters they stand for, tags are no words.

Exports escape once, twice, or not at all, so that tags and entities are undone layer by layer. What only looks like
either stays: `a < b`, `<3`, `5 < 10 > 3`, `R&D`, `x <y and z`.
"""

import html
import re
from typing import Final

import nh3

_LAYERS: Final = 4  # &amp;amp;amp; and the tags below it
_INLINE: Final = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|nobr|o:p|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr"
)
_BLOCK: Final = (
    "address|article|aside|audio|blockquote|body|br|button|canvas|caption|center|col|colgroup|dd|details|dir|div|dl|dt"
    "|embed|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|input|legend|li|link|main|map"
    "|meta|nav|noscript|object|ol|optgroup|option|p|param|picture|pre|script|section|select|source|style|summary|svg"
    "|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|ul|video"
)
# What follows a "<" of HTML: a name that HTML has, then nothing or attributes with values; or a comment.
_AFTER: Final = rf"/?(?:{_INLINE}|{_BLOCK})(?:\s*/?>|\s[^<>=]*=[^<>]*>)|!--|!doctype\s|!\[CDATA\["
_TAG: Final = re.compile(rf"<(?:{_AFTER})", re.IGNORECASE)
_NO_TAG: Final = re.compile(rf"<(?!{_AFTER})", re.IGNORECASE)
_BETWEEN_WORDS: Final = re.compile(rf"<(?=/?(?:{_BLOCK})[\s/>])", re.IGNORECASE)
_NAMED: Final = r"(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ENTITY: Final = re.compile(f"&{_NAMED}")
_BARE: Final = re.compile(f"&(?!{_NAMED})")
MARKED: Final = r"<[/!A-Za-z]|&[#A-Za-z][0-9A-Za-z]+;"  # texts that may hold markup, for a regex without lookahead


def plain_text(text: str) -> str:
    """The text as a browser would show it, on one line or several; script and style go with what they hold."""
    for _ in range(_LAYERS):
        before = text
        if "<" in text and _TAG.search(text):
            text = _without_tags(text)
        if "&" in text:
            text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if text == before:
            break
    return text


def _without_tags(text: str) -> str:
    """Tags out, and the entities of one layer undone. What is no markup is escaped, so that the parser lets it be."""
    escaped = _NO_TAG.sub("&lt;", _BARE.sub("&amp;", text))
    parsed = nh3.clean(
        _BETWEEN_WORDS.sub(" <", escaped), tags=set(), clean_content_tags={"script", "style", "template", "svg"}
    )
    return html.unescape(parsed)
