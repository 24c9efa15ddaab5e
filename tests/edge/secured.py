"""An edge as production has it: TLS, tokens, and a quota for each tenant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shopfuse.loadtest.open_loop import Front
from tests.edge.edges import bearer, edge
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.edge.test_clients import JWT, TLS

QUOTAS = '[limits]\nby = "claim"\ntotal_per_s = 1000\neach = {per_s = 200, per_day = 1000000}\n'


@contextmanager
def secured(folder: Path, gateways: Sequence[str]) -> Iterator[Front]:
    """An edge before these gateways that lets in who trusts its certificate and shows a tenant's token."""
    authority, issuer = Authority(), Issuer()
    (folder / "jwks").mkdir(parents=True)
    write_pair(folder / "tls", authority.issue("edge"))
    write_keys(folder / "jwks" / "jwks.json", issuer)
    with edge(folder, [Front(address) for address in gateways], TLS + JWT + QUOTAS) as running:
        yield Front(running.address, authority.pem, bearer(issuer.token()))
