"""Addresses to listen on and to call, of IPv4, IPv6 and by name, in the one form that gRPC and URLs take."""

from __future__ import annotations

import socket
from typing import Any

from shopfuse.core.errors import ShopfuseError

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # :: listens on both, so that either reaches it
LOOPBACK = "127.0.0.1"


class AddressError(ShopfuseError):
    """A host that nothing can listen on."""


def bare_host(host: str) -> str:
    """Without the brackets that IPv6 has in URLs."""
    return host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host


def host_port(host: str, port: int) -> str:
    """HOST:PORT, with IPv6 in brackets."""
    return f"[{bare_host(host)}]:{port}" if ":" in host else f"{host}:{port}"


def reached_at(host: str, port: int) -> str:
    """HOST:PORT by which this machine reaches what listens on `host`."""
    return host_port(EVERYWHERE.get(bare_host(host), host), port)


def listening(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The family and address of the socket that listens there; of a name the first. Raises AddressError."""
    try:
        found = socket.getaddrinfo(bare_host(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"host: {host!r} is no name or address such as 127.0.0.1, ::1 or :: ({error})") from error
    family, _, _, _, address = found[0]
    return family, address
