"""Chooses TCP ports for a server that must be told its ports before it starts."""

import errno
import random
import socket

from shopfuse.triton.errors import TritonStartError

# Below the kernel's range for outgoing connections (32768 and up), so that none takes it between look and use.
CHOICE = range(20_000, 32_000)
ATTEMPTS = 100


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise TritonStartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return True


def choose_ports(host: str, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The wanted ports, with a free one in place of every 0; raises TritonStartError where a wanted one is taken."""
    for port in wanted:
        if port and not is_free(host, port):
            raise TritonStartError(f"port {port} on {host} is in use by another process: choose another, or 0 for any")
    candidates = (port for port in random.sample(CHOICE, ATTEMPTS) if port not in wanted and is_free(host, port))
    return tuple(port or next(candidates) for port in wanted)
