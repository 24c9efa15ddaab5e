"""A store of objects below one address: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, or a folder file:///PATH.

    objects/SHA256              a file of any number of releases, named by its content
    releases/rN/manifest.json   which files a release has
    releases/rN/manifest.sig    written last: without it the release does not exist
    channels.json               which release answers whom; replaced by compare-and-set alone

Every request has a limit of time and is tried again a few times; what fails then is a StoreError. Credentials are those
of the environment: AWS_ACCESS_KEY_ID and the like, a web identity, GOOGLE_APPLICATION_CREDENTIALS, the machine's role.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions, store

from shopfuse.core.file_lock import file_lock
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.manifest import ReleaseError

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

OBJECTS: Final = "objects"
CHANNELS: Final = WorkspacePaths(Path()).channels.name
SCHEMES: Final = ("s3", "gs", "file")
REQUEST_WITHIN: Final = timedelta(seconds=20)  # a chunk of CHUNK bytes at 0.4 MB a second
RETRY_WITHIN: Final = timedelta(seconds=60)
RETRIES: Final = 4
CHUNK: Final = 8 << 20
LOCK_WITHIN_S: Final = 10.0


class StoreError(ReleaseError):
    """The store does not do what was asked; the message names the store and the object."""


class StoreUnreachable(StoreError):
    """No answer, or that of a server in trouble: the same may succeed later."""


class NotInStore(StoreError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class ReleaseStore:
    """Its methods may be called from several threads."""

    url: str
    objects: ObjectStore
    folder: Path | None  # of a file:// store

    @classmethod
    def open(cls, url: str) -> ReleaseStore:
        """Raises StoreError for an address that is none. Nothing is sent yet."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise StoreError(f"{url}: expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///PATH")
        if parts.scheme == "file":
            return cls._of_folder(url, parts.netloc, Path(unquote(parts.path)))
        if not parts.netloc:
            raise StoreError(f"{url}: expected {parts.scheme}://BUCKET/PREFIX, there is no bucket")
        # http:// is spoken only where the environment names such an endpoint.
        client: ClientConfig = {"timeout": REQUEST_WITHIN, "connect_timeout": timedelta(seconds=5), "allow_http": True}
        retries: RetryConfig = {"max_retries": RETRIES, "retry_timeout": RETRY_WITHIN}
        with _told(url, parts.netloc):
            return cls(url, store.from_url(url, client_options=client, retry_config=retries), None)

    @classmethod
    def _of_folder(cls, url: str, host: str, folder: Path) -> ReleaseStore:
        if host or not folder.is_absolute():
            raise StoreError(f"{url}: expected file:///PATH with the whole path of a folder")
        with _told(url, str(folder)):
            return cls(url, store.LocalStore(folder, mkdir=True), folder)

    def read(self, name: str, at_most: int) -> tuple[bytes, UpdateVersion]:
        """A small object and its version. Raises NotInStore, or StoreError where it is larger."""
        with _told(self.url, name):
            found = obstore.get(self.objects, name)
            if found.meta["size"] > at_most:
                raise StoreError(f"{self.url}/{name}: {found.meta['size']} bytes, expected at most {at_most}")
            return bytes(found.bytes()), _version(found.meta["e_tag"], found.meta["version"])

    def create(self, name: str, content: bytes) -> bool:
        """False where another content is there already, which stays."""
        with _told(self.url, name):
            try:
                obstore.put(self.objects, name, content, mode="create")
            except exceptions.AlreadyExistsError:
                # Ours, perhaps: of a run that was cut short, or of a request whose answer was lost.
                return self.read(name, max(1 << 20, len(content)))[0] == content
            return True

    def replace(self, name: str, content: bytes, version: UpdateVersion) -> bool:
        """Compare-and-set: False where the object is no longer in this version, and then it stays as it is."""
        if self.folder is None:
            with _told(self.url, name):
                try:
                    obstore.put(self.objects, name, content, mode=version)
                except exceptions.PreconditionError:
                    return self.read(name, max(1 << 20, len(content)))[0] == content  # as in create
                return True
        # File systems know no conditional write; a lock serves for publishers that share one.
        held_by = f"{self.url}: is written by another process, try again"
        with (
            _told(self.url, name),
            file_lock(self.folder / f".{name}.lock", lambda _: StoreError(held_by), LOCK_WITHIN_S),
        ):
            if self.read(name, 1 << 20)[1] != version:
                return False
            obstore.put(self.objects, name, content)
            return True

    def sizes(self) -> dict[str, int]:
        """sha256 -> bytes of every file that the store holds."""
        with _told(self.url, OBJECTS):
            pages = obstore.list(self.objects, prefix=OBJECTS, chunk_size=1000)
            return {meta["path"].rpartition("/")[2]: meta["size"] for page in pages for meta in page}

    def upload(self, path: Path, sha: str) -> None:
        """Streams a file in parts; nobody sees it before it is whole."""
        with _told(self.url, f"{OBJECTS}/{sha}"):
            obstore.put(self.objects, f"{OBJECTS}/{sha}", path, chunk_size=CHUNK, max_concurrency=2)

    def download(self, sha: str, size: int) -> Iterator[bytes]:
        """The bytes of a file, a request for each CHUNK: so a slow store has the same time for each."""
        name = f"{OBJECTS}/{sha}"
        for start in range(0, size, CHUNK):
            with _told(self.url, name):
                chunk = bytes(obstore.get_range(self.objects, name, start=start, end=min(size, start + CHUNK)))
            yield chunk


def _version(e_tag: str | None, version: str | None) -> UpdateVersion:
    """Without what a store does not tell."""
    known: UpdateVersion = {}
    if e_tag is not None:
        known["e_tag"] = e_tag
    if version is not None:
        known["version"] = version
    return known


@contextmanager
def _told(url: str, name: str) -> Iterator[None]:
    """What the library raises leaves the block as a StoreError."""
    where = f"{url}/{name}"
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StoreError(f"{url}: there is no such bucket") from error
        raise NotInStore(f"{where}: not in the store") from error
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise StoreError(f"{where}: the store refuses these credentials ({_first_line(error)})") from error
    except exceptions.GenericError as error:
        if "ermission denied" in str(error):  # of a folder
            raise StoreError(f"{where}: no permission ({_first_line(error)})") from error
        raise StoreUnreachable(f"{where}: no answer from the store ({_first_line(error)})") from error
    except (exceptions.BaseError, OSError, ValueError) as error:
        raise StoreError(f"{where}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """The library tells the rest of it in a tree of many lines."""
    return str(error).partition("\n")[0].strip()
