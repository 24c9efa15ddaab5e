"""The Tritons of other pods that a gateway asks in turn: a workspace names a release when each of them serves it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from shopfuse.core.errors import ShopfuseError
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.loading import LIVE_WITHIN_S, not_ready
from shopfuse.release.manifest import Manifest
from shopfuse.triton.model_control import ModelControl


class FleetBehind(PublishError):
    """A Triton of the fleet does not serve a release yet: a matter of time, nothing is wrong with the release."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """HOST:PORT, several with commas between them; each host stands for all of its addresses, as a headless service's
    name does. A Triton that does not answer is asked for nothing, so it holds nobody up."""

    hosts: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> Fleet:
        """Raises ShopfuseError."""
        hosts = []
        for entry in text.split(","):
            host, _, port = entry.strip().rpartition(":")
            if not host or not port.isdecimal():
                raise ShopfuseError(f"{entry.strip()!r}: expected HOST:PORT, such as triton-headless:8001")
            hosts.append((host.strip("[]"), int(port)))
        return cls(tuple(hosts))

    def addresses(self) -> list[str]:
        """Of all hosts, as a name server knows them now; none of a name that it does not know."""
        found: dict[str, None] = {}
        for host, port in self.hosts:
            try:
                answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except OSError:
                continue
            for family, _, _, _, address in answers:
                name = f"[{address[0]}]" if family == socket.AF_INET6 else str(address[0])
                found[f"{name}:{port}"] = None
        return list(found)

    def require(self, manifests: Mapping[str, Manifest]) -> None:
        """Raises FleetBehind unless every Triton that answers serves these releases, and one does answer."""
        answering = 0
        for address in self.addresses():
            with ModelControl(address) as control:
                if not control.is_live(LIVE_WITHIN_S):
                    continue
                answering += 1
                for release_id, manifest in manifests.items():
                    if missing := not_ready(control, manifest):
                        raise FleetBehind(f"{release_id} waits for Triton at {address}: {', '.join(missing)}")
        if not answering:
            raise FleetBehind(f"{', '.join(manifests)} waits: no Triton answers at {self}")

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.hosts)
