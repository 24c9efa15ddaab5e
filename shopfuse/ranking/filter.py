"""What a request restricts its candidates to. Only the declaration: recall selects the rows.

Text is compared without regard to case. An item must pass every restriction that is given.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """An item passes with any of `brands`, below any of `categories` (paths "A > B"), and with any value of each name
    in `attributes`. Price bounds are inclusive; an item of unknown price never passes one."""

    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    min_price: float | None = None
    max_price: float | None = None
    include_unavailable: bool = False


NO_FILTER = ItemFilter(include_unavailable=True)
