"""What a PromQL query reads: its selectors, found by the shape of the text."""

from __future__ import annotations

import re

_GROUPED = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
_SELECTOR = re.compile(r"(?<![\w:$])([a-zA-Z_:][\w:]*)(\{[^}]*\})?(?!\w|\s*\()")
_WORDS = {"and", "or", "unless", "offset", "bool"}
_HISTOGRAM = re.compile(r"_(?:bucket|count|sum)$")


def selectors(expr: str) -> set[tuple[str, str]]:
    """Pairs of a metric's name and its label matchers with their braces, "" for none."""
    return {(name, labels) for name, labels in _SELECTOR.findall(_GROUPED.sub("", expr)) if name not in _WORDS}


def metrics(expr: str) -> set[str]:
    """The names of the metrics, those of a histogram without their endings as well."""
    names = {name for name, _ in selectors(expr)}
    return names | {_HISTOGRAM.sub("", name) for name in names}
