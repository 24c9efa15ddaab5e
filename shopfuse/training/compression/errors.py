"""What a user can repair about a compression."""

from __future__ import annotations

from shopfuse.core.errors import ShopfuseError


class CompressionError(ShopfuseError):
    """The encoder cannot be made smaller as asked; the message names the encoder, the folder or the value."""
