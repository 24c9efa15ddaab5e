"""The gateway's named errors. How each becomes a gRPC status is the table in rpc/status.py."""

from __future__ import annotations

from collections.abc import Sequence

from shopfuse.core.errors import ShopfuseError


class InvalidRequest(ShopfuseError):
    """Fields that break a rule, as (path, description) pairs."""

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{path}: {problem}" if path else problem for path, problem in self.violations))


class MalformedRequest(ShopfuseError):
    """Bytes that are not a message of the method's request type."""


class InvalidPageToken(InvalidRequest):
    """A page token that this shop did not give for this request."""

    def __init__(self) -> None:
        super().__init__([("page_token", "not a token that was given for this request")])


class PageTokenExpired(ShopfuseError):
    """A genuine page token of a release that is no longer served."""


class ItemNotFound(ShopfuseError):
    """The catalogue has no such item."""


class Unsupported(ShopfuseError):
    """The served release cannot do what was asked."""


class Overloaded(ShopfuseError):
    """Too many requests at once; the caller may retry after `retry_after_s`."""

    def __init__(self, problem: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(problem)


class ModelUnavailable(ShopfuseError):
    """A model without which there is no answer gives none; the caller may retry after `retry_after_s`."""

    def __init__(self, problem: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(problem)


class DeadlineTooShort(ShopfuseError):
    """The client's deadline is over, or too close to answer in."""
