"""What can go wrong between a trained module and a release, each with a message that names the model or file."""

from __future__ import annotations

from shopfuse.core.errors import ShopfuseError


class ExportError(ShopfuseError):
    """A module cannot be exported, or its graph is not what the declaration says."""


class PrecisionError(ExportError):
    """A model cannot be had in a precision: no real rows to calibrate on, or nothing in it that could be reduced."""


class ParityError(ShopfuseError):
    """An exported model does not answer as the torch module does."""


class BuildError(ShopfuseError):
    """A workspace cannot be built into a release."""
