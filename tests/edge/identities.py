"""Who is who in tests of the edge: an authority and its certificates, an issuer and its tokens."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://id.example", "shopfuse"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(name)
        self._certificate = self._signed(self._subject, self._key, timedelta(days=1), is_authority=True)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, lives: timedelta = timedelta(days=1)) -> tuple[bytes, bytes]:
        """(certificate, key) as PEM. A negative life is over already."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_name(name), key, lives)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(*form)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lives: timedelta, is_authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = x509.CertificateBuilder(self._subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=2)).not_valid_after(now + lives)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def write_pair(folder: Path, pair: tuple[bytes, bytes]) -> None:
    """A certificate and its key take the place of those that are there, together, as Kubernetes does it: by a link."""
    fresh = folder / f"..{time.time_ns()}"
    fresh.mkdir(parents=True)
    (fresh / "tls.crt").write_bytes(pair[0])
    (fresh / "tls.key").write_bytes(pair[1])
    link = folder / "..next"
    link.symlink_to(fresh.name)
    link.replace(folder / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Signs tokens with ES256; `kid` names its key."""

    def __init__(self, kid: str = "one") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = kid

    @property
    def jwk(self) -> dict[str, str]:
        at = self._key.public_key().public_numbers()
        x, y = (_text(number.to_bytes(32, "big")) for number in (at.x, at.y))
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self._kid, "x": x, "y": y}

    def token(self, tenant: str = "acme", algorithm: str = "ES256", **claims: Any) -> str:
        """Valid for an hour where `claims` say nothing else; a claim of None is left out."""
        payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "backend", "tenant": tenant, "exp": int(time.time()) + 3600}
        kept = {name: value for name, value in (payload | claims).items() if value is not None}
        head = _text(json.dumps({"alg": algorithm, "typ": "JWT", "kid": self._kid}).encode())
        signed = f"{head}.{_text(json.dumps(kept).encode())}"
        if algorithm == "none":
            return f"{signed}."
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def write_keys(path: Path, *issuers: Issuer) -> None:
    fresh = path.with_name("next.json")
    fresh.write_text(json.dumps({"keys": [issuer.jwk for issuer in issuers]}))
    fresh.replace(path)
