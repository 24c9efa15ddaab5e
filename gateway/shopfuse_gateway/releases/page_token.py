"""Page tokens: opaque, signed, and whole. A token carries the ranked order itself, so no page repeats or loses an item
whatever happens between two calls: new events of the user, new features, Triton gone, another worker process.

The order is packed as row numbers of the release, ceil(log2(rows)) bits each: 256 of a million items are 640 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse_gateway.errors import InvalidPageToken, PageTokenExpired

MAX_CHARS = 1024  # the limit in the .proto files
SIGNATURE = 16
RELEASE_BYTES, RELEASE_CHARS = 8, 12  # the least characters of base64 that hold them without padding
# release, request, pinned time, offset, rows
HEADER = struct.Struct(">8s8sdHH")
MAX_PACKED = MAX_CHARS * 3 // 4 - HEADER.size - SIGNATURE


@dataclass(frozen=True, slots=True)
class Page:
    """Where a client continues: the whole ranked order, the offset of the next page, and the time it was ranked at."""

    rows: NDArray[np.int32]
    offset: int
    at: float


def digest(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return hashlib.blake2b(data, digest_size=8).digest()


def _width(items: int) -> int:
    return max(int(items - 1).bit_length(), 1)


def capacity(items: int) -> int:
    """The most rows that a token can carry for a catalogue of `items`."""
    return MAX_PACKED * 8 // _width(items)


def _pack(rows: NDArray[np.int32], width: int) -> bytes:
    bits = (rows[:, None] >> np.arange(width, dtype=np.int32)) & 1  # [rows, width]
    return np.packbits(bits.astype(np.uint8)).tobytes()


def _unpack(packed: bytes, count: int, width: int) -> NDArray[np.int32]:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * width).reshape(count, width)
    return bits.astype(np.int32) @ (1 << np.arange(width, dtype=np.int32))


def release_of(token: str) -> bytes:
    """The digest of the release that a token says it is of, unproven: `read` of that release checks it."""
    try:
        return base64.urlsafe_b64decode(token[:RELEASE_CHARS])[:RELEASE_BYTES]
    except (binascii.Error, ValueError):
        return b""


class PageTokens:
    """Makes and reads tokens for one release of `items` items. `request` is the digest of every other field."""

    def __init__(self, key: bytes, release_id: str, items: int) -> None:
        self._key = key
        self._release = digest(release_id)
        self._width = _width(items)

    def write(self, page: Page, request: bytes) -> str:
        head = HEADER.pack(self._release, request, page.at, page.offset, len(page.rows))
        body = head + _pack(page.rows, self._width)
        return base64.urlsafe_b64encode(body + self._sign(body)).decode().rstrip("=")

    def read(self, token: str, request: bytes) -> Page:
        """Raises InvalidPageToken where the token is forged or of another request, PageTokenExpired where its release
        is not served any more."""
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidPageToken from error
        body, signature = data[:-SIGNATURE], data[-SIGNATURE:]
        if len(body) < HEADER.size or not hmac.compare_digest(signature, self._sign(body)):
            raise InvalidPageToken
        release, fingerprint, at, offset, count = HEADER.unpack_from(body)
        if fingerprint != request:
            raise InvalidPageToken
        if release != self._release:
            raise PageTokenExpired("the release that ranked these pages is no longer served; start at the first page")
        return Page(_unpack(body[HEADER.size :], count, self._width), offset, at)

    def _sign(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:SIGNATURE]


def read_key(path: Path) -> bytes:
    """The workspace's signing key; made on first use, readable by its owner only, the same for all workers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        staged = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(32))
        try:
            os.link(staged, path)
        except FileExistsError:
            pass  # another worker was first: its key holds for all
        finally:
            staged.unlink()
    return path.read_bytes()
