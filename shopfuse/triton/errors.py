"""What can go wrong between this process and Triton, by what a user would do about it."""

from shopfuse.core.errors import ShopfuseError


class TritonServerError(ShopfuseError):
    """The root of the three below."""


class TritonMissingError(TritonServerError):
    """The pip package with the server, or its part for this Python, is not there."""


class TritonStartError(TritonServerError):
    """The server died, hung or answered wrong numbers while starting; the message ends with the log's tail."""


class ModelControlError(TritonServerError):
    """Triton refused to load, unload or list models; the message carries its reason."""
