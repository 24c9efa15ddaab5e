"""Signs the manifest of a release and checks it: Ed25519 (RFC 8032), keys as PEM files.

Through the manifest's hashes the signature covers every file. Whoever holds the private key can release; a gateway
needs the public one only, and takes no release without a valid signature.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shopfuse.core.workspace_paths import PRIVATE_KEY, PUBLIC_KEY
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError


class SignatureError(ReleaseError):
    """A release without a valid signature, or a key that cannot be used."""


def create_keys(folder: Path) -> tuple[Path, Path]:
    """A new pair of keys in `folder`, (private, public); raises SignatureError where a private key is there already."""
    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        private.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise SignatureError(f"{private}: a key is there already; releases signed with it need it") from error
    private.write_bytes(pem)
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def sign(content: bytes, private_key: Path) -> bytes:
    """The signature of `content`, 64 bytes."""
    try:
        key = serialization.load_pem_private_key(_read(private_key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{private_key}: not a private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{private_key}: expected an Ed25519 key, found {type(key).__name__}")
    return key.sign(content)


def signed_bytes(root: Path, public_key: Path) -> bytes:
    """The manifest of the release folder `root` as it was signed; raises SignatureError where this key did not.

    Whoever reads the manifest parses these bytes: the file may be another one by the next look.
    """
    layout = ReleaseLayout(root)
    key, content = _public_key(public_key), _read(layout.manifest)
    try:
        key.verify(_read(layout.signature), content)
    except InvalidSignature as error:
        raise SignatureError(
            f"{layout.manifest}: the signature does not fit {public_key}: the manifest was changed, or signed with "
            "another key"
        ) from error
    return content


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path}: not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"{path}: expected an Ed25519 key, found {type(key).__name__}")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read ({error.strerror})") from error
