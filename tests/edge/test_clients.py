"""Who may come in: TLS, client certificates and bearer tokens, and that each is exchanged while the edge serves."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shopfuse.edge.local_envoy import EnvoyError
from tests.edge.edges import Backend, Edge, bearer, edge, refusal, search
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.waiting import wait_until

TLS = '[tls]\ncertificate = "tls/tls.crt"\nkey = "tls/tls.key"\n'
JWT = '[jwt]\nissuer = "https://id.example"\naudiences = ["shopfuse"]\njwks = "jwks/jwks.json"\n'
JWT += "clock_skew_s = 1\nrefresh_s = 1\n"


def secure(edge: Edge, authority: Authority, pair: tuple[bytes, bytes] | None = None) -> grpc.Channel:
    certificate, key = pair or (None, None)
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(edge.address, grpc.ssl_channel_credentials(authority.pem, key, certificate), options)


def served_expiry(edge: Edge, authority: Authority) -> str:
    """When the certificate ends that a new connection is shown."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", edge.envoy.port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.selected_alpn_protocol() == "h2"
        return str((wrapped.getpeercert() or {})["notAfter"])


def test_certificate_is_exchanged_while_calls_go_on(tmp_path: Path, gateways: list[Backend]) -> None:
    authority = Authority()
    write_pair(tmp_path / "tls", authority.issue("edge", timedelta(hours=1)))
    with edge(tmp_path, gateways, TLS) as running, secure(running, authority) as old:
        search(old)
        before = served_expiry(running, authority)
        write_pair(tmp_path / "tls", authority.issue("edge", timedelta(hours=20)))
        wait_until(lambda: served_expiry(running, authority) != before)
        search(old)
        with secure(running, authority) as new:
            assert search(new).request_id in {"one", "two", "three"}


def test_expired_certificate_is_seen_and_its_successor_taken(tmp_path: Path, gateways: list[Backend]) -> None:
    authority = Authority()
    write_pair(tmp_path / "tls", authority.issue("edge", timedelta(hours=-1)))
    with edge(tmp_path, gateways, TLS) as running:
        with secure(running, authority) as channel:
            assert refusal(channel).code() == grpc.StatusCode.UNAVAILABLE
        write_pair(tmp_path / "tls", authority.issue("edge"))

        def answers() -> bool:
            try:
                return bool(served_expiry(running, authority))
            except ssl.SSLError:
                return False

        wait_until(answers)
        with secure(running, authority) as channel:
            search(channel)


def test_broken_successor_leaves_the_certificate_that_serves(tmp_path: Path, gateways: list[Backend]) -> None:
    authority = Authority()
    write_pair(tmp_path / "tls", authority.issue("edge"))
    with edge(tmp_path, gateways, TLS) as running:
        before = served_expiry(running, authority)
        write_pair(tmp_path / "tls", (b"not a certificate", b"not a key"))
        wait_until(lambda: "Failed to load" in (tmp_path / "envoy" / "envoy.log").read_text())

        assert served_expiry(running, authority) == before


def test_client_without_a_certificate_of_the_authority_is_refused(tmp_path: Path, gateways: list[Backend]) -> None:
    authority, stranger = Authority(), Authority("stranger")
    write_pair(tmp_path / "tls", authority.issue("edge"))
    (tmp_path / "tls" / "ca.crt").write_bytes(authority.pem)
    with edge(tmp_path, gateways, TLS + 'client_ca = "tls/ca.crt"\n[limits]\nby = "certificate"\n') as running:
        with secure(running, authority, authority.issue("shop")) as channel:
            search(channel)
        for pair in (None, stranger.issue("shop"), authority.issue("shop", timedelta(hours=-1))):
            with secure(running, authority, pair) as channel:
                assert refusal(channel).code() == grpc.StatusCode.UNAVAILABLE
        wait_until(lambda: bool(running.log()))
        assert running.log()[0]["certificate"] == "CN=shop"


def test_missing_certificate_stops_the_start_and_is_named(tmp_path: Path, gateways: list[Backend]) -> None:
    with pytest.raises(EnvoyError, match="tls"), edge(tmp_path, gateways, TLS):
        pass


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, gateways: list[Backend], issuer: Issuer) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "jwks").mkdir()
    write_keys(folder / "jwks" / "jwks.json", issuer)
    with edge(folder, gateways, JWT) as running:
        yield running


def test_a_valid_token_passes(guarded: Edge, issuer: Issuer) -> None:
    with grpc.insecure_channel(guarded.address) as channel:
        wait_until(lambda: _accepted(channel, issuer.token()))


def _accepted(channel: grpc.Channel, token: str) -> bool:
    try:
        search(channel, metadata=bearer(token))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        return False
    return True


BAD_TOKENS = {
    "none": lambda issuer: "",
    "no token": lambda issuer: "rubbish",
    "alg none": lambda issuer: issuer.token(algorithm="none"),
    "another audience": lambda issuer: issuer.token(aud="elsewhere"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 60),
    "without expiry": lambda issuer: issuer.token(exp=None),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 600),
    "foreign key": lambda issuer: Issuer().token(),
    "changed": lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_token_is_unauthenticated(guarded: Edge, issuer: Issuer, kind: str) -> None:
    token = BAD_TOKENS[kind](issuer)  # type: ignore[no-untyped-call]
    with grpc.insecure_channel(guarded.address) as channel:
        error = refusal(channel, metadata=bearer(token) if token else ())

    info = error_details_pb2.ErrorInfo()
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert rpc_status.from_call(error).details[0].Unpack(info)
    assert info.reason == "UNAUTHENTICATED"


def test_keys_are_exchanged_while_the_edge_serves(tmp_path: Path, gateways: list[Backend]) -> None:
    old, new = Issuer("old"), Issuer("new")
    (tmp_path / "jwks").mkdir()
    write_keys(tmp_path / "jwks" / "jwks.json", old)
    with edge(tmp_path, gateways, JWT) as running, grpc.insecure_channel(running.address) as channel:
        kept = old.token()  # the same bytes all along, as a client holds them
        wait_until(lambda: _accepted(channel, kept))
        assert not _accepted(channel, new.token())
        write_keys(tmp_path / "jwks" / "jwks.json", old, new)
        wait_until(lambda: _accepted(channel, new.token()))
        assert _accepted(channel, kept)
        write_keys(tmp_path / "jwks" / "jwks.json", new)
        wait_until(lambda: not _accepted(channel, kept))
