"""A release goes through a store and is the same; what is half there, changed or unsigned is refused by name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import obstore
import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.release.manifest import ReleaseError
from shopfuse.release.signature import SignatureError, create_keys
from shopfuse.release.verify import file_hashes, read_manifest
from shopfuse.release_store import pull as pull_module
from shopfuse.release_store.pull import Pulled, pull
from shopfuse.release_store.push import PushedRelease, push_releases
from shopfuse.release_store.store import NotInStore, ReleaseStore, StoreError, StoreUnreachable
from tests.publishing.tiny_release import Scaling, Shop


def push(origin: Shop, store: ReleaseStore, *names: str) -> tuple[PushedRelease, ...]:
    return push_releases(origin.root, store, names, public_key=origin.key).releases


def fetch(replica: Path, store: ReleaseStore, name: str) -> Pulled:
    return pull(replica, store, name, public_key=WorkspacePaths(replica).public_key)


def left(replica: Path) -> set[str]:
    """What lies among the releases, locks aside."""
    return {path.name for path in (replica / "releases").glob("*") if not path.name.endswith(".lock")} | {
        path.name for path in (replica / "releases").glob(".pull-*")
    }


def test_a_release_arrives_as_it_was(origin: Shop, replica: Path, store: ReleaseStore) -> None:
    push(origin, store, "r1")
    pulled = fetch(replica, store, "r1")

    assert file_hashes(replica / "releases" / "r1") == file_hashes(origin.release("r1"))
    assert pulled.fetched + pulled.found == len(read_manifest(origin.release("r1")).files)
    assert left(replica) == {"r1"}


def test_what_the_store_and_the_replica_hold_is_not_sent_again(
    origin: Shop, replica: Path, store: ReleaseStore
) -> None:
    (first,) = push(origin, store, "r1")
    (second,) = push(origin, store, "r2")
    (again,) = push(origin, store, "r2")
    fetch(replica, store, "r1")
    pulled = fetch(replica, store, "r2")

    assert first.held == 0
    assert 0 < second.uploaded < first.uploaded  # the tower is that of r1
    assert (again.uploaded, again.uploaded_bytes) == (0, 0)
    assert pulled.fetched == second.uploaded
    assert fetch(replica, store, "r2").fetched == 0


def test_a_push_that_was_cut_short_is_no_release_and_goes_on(
    origin: Shop, replica: Path, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, sent = ReleaseStore.upload, list[str]()

    def dies(self: ReleaseStore, path: Path, sha: str) -> None:
        if len(sent) == 3:
            raise StoreUnreachable("the cable is out")
        sent.append(sha)
        upload(self, path, sha)

    monkeypatch.setattr("shopfuse.release_store.push.AT_ONCE", 1)
    monkeypatch.setattr(ReleaseStore, "upload", dies)
    with pytest.raises(StoreUnreachable):
        push(origin, store, "r1")
    with pytest.raises(NotInStore, match="no release r1, or its push is not finished"):
        fetch(replica, store, "r1")
    monkeypatch.setattr(ReleaseStore, "upload", upload)
    (pushed,) = push(origin, store, "r1")

    assert pushed.held == 3
    assert left(replica) == set()
    fetch(replica, store, "r1")


def test_a_pull_that_was_cut_short_is_no_release_and_goes_on(
    origin: Shop, replica: Path, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(origin, store, "r1")
    download, asked = ReleaseStore.download, list[str]()

    def dies(self: ReleaseStore, sha: str, size: int) -> Iterator[bytes]:
        asked.append(sha)
        if len(asked) == 4:
            raise StoreUnreachable("the cable is out")
        return download(self, sha, size)

    monkeypatch.setattr(pull_module, "AT_ONCE", 1)
    monkeypatch.setattr(ReleaseStore, "download", dies)
    with pytest.raises(StoreUnreachable):
        fetch(replica, store, "r1")
    assert left(replica) == {".pull-r1"}
    monkeypatch.setattr(ReleaseStore, "download", download)
    pulled = fetch(replica, store, "r1")

    assert pulled.found >= 3
    assert left(replica) == {"r1"}


def test_a_release_that_was_damaged_here_is_whole_again(origin: Shop, replica: Path, store: ReleaseStore) -> None:
    push(origin, store, "r1")
    fetch(replica, store, "r1")
    (replica / "releases" / "r1" / "golden.safetensors").write_bytes(b"")

    assert fetch(replica, store, "r1").fetched == 1
    assert file_hashes(replica / "releases" / "r1") == file_hashes(origin.release("r1"))


def _no_signature(store: Path, origin: Shop) -> None:
    (store / "releases" / "r1" / "manifest.sig").unlink()


def _changed_manifest(store: Path, origin: Shop) -> None:
    manifest = store / "releases" / "r1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("fp32", "fp16"))


def _other_format(store: Path, origin: Shop) -> None:
    origin.sign(replace(read_manifest(origin.release("r1")), format=99))
    _put_manifest(store, origin)


def _path_that_escapes(store: Path, origin: Shop) -> None:
    manifest = read_manifest(origin.release("r1"))
    layout = origin.release("r1")
    escaping = replace(manifest, files={**manifest.files, "../../keys/release.pub": "0" * 64})
    (layout / "manifest.json").write_text(escaping.to_json())
    _sign_again(origin)
    _put_manifest(store, origin)


def _other_name(store: Path, origin: Shop) -> None:
    shutil.rmtree(store / "releases" / "r1")
    push(origin, ReleaseStore.open(f"file://{store}"), "r2")
    (store / "releases" / "r2").rename(store / "releases" / "r1")


def _object_cut_short(store: Path, origin: Shop) -> None:
    largest = max((store / "objects").iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def _object_missing(store: Path, origin: Shop) -> None:
    min((store / "objects").iterdir(), key=lambda path: path.stat().st_size).unlink()


def _sign_again(origin: Shop) -> None:
    from shopfuse.release.signature import sign

    root = origin.release("r1")
    (root / "manifest.sig").write_bytes(sign((root / "manifest.json").read_bytes(), origin.root / "keys/release.pem"))


def _put_manifest(store: Path, origin: Shop) -> None:
    for name in ("manifest.json", "manifest.sig"):
        shutil.copy(origin.release("r1") / name, store / "releases" / "r1" / name)


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (_no_signature, NotInStore, "no release r1, or its push is not finished"),
        (_changed_manifest, SignatureError, "the signature does not fit"),
        (_other_format, ReleaseError, "manifest format 99, expected"),
        (_path_that_escapes, ReleaseError, r"file '../../keys/release.pub' is not a path inside the release"),
        (_other_name, ReleaseError, "this is release 'r2'"),
        (_object_cut_short, StoreError, "is cut short or changed in the store"),
        (_object_missing, NotInStore, "release r1 lacks 1 of its"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused_by_name(
    damage: Callable[[Path, Shop], None],
    kind: type[ReleaseError],
    message: str,
    origin: Shop,
    replica: Path,
    folder_store: ReleaseStore,
) -> None:
    push(origin, folder_store, "r1")
    assert folder_store.folder
    damage(folder_store.folder, origin)

    with pytest.raises(kind, match=message):
        fetch(replica, folder_store, "r1")
    assert not (replica / "releases" / "r1").exists()


def test_another_key_is_refused(origin: Shop, replica: Path, store: ReleaseStore, tmp_path: Path) -> None:
    push(origin, store, "r1")
    _, other = create_keys(tmp_path / "other")

    with pytest.raises(SignatureError, match="signed with another key"):
        pull(replica, store, "r1", public_key=other)
    with pytest.raises(SignatureError, match="cannot be read"):
        pull(replica, store, "r1", public_key=tmp_path / "none.pub")
    assert left(replica) == set()


def test_a_release_that_is_too_large_for_the_disk_is_refused_before_it_is_fetched(
    origin: Shop, replica: Path, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(origin, store, "r1")
    monkeypatch.setattr(pull_module, "SPARE", shutil.disk_usage(replica).total)
    monkeypatch.setattr(ReleaseStore, "download", lambda *_: pytest.fail("nothing may be fetched"))

    with pytest.raises(ReleaseError, match=r"r1 needs \d+ MB .* make room"):
        fetch(replica, store, "r1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full of Linux")
def test_a_disk_that_fills_up_meanwhile_leaves_no_release(
    origin: Shop, replica: Path, folder_store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(origin, folder_store, "r1")
    full = Path("/dev/full")
    monkeypatch.setattr(pull_module, "_partial", lambda staged, sha: full)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)

    with pytest.raises(ReleaseError, match=r"pull of r1 stopped, nothing changed: .*No space left on device"):
        fetch(replica, folder_store, "r1")
    assert not (replica / "releases" / "r1").exists()


def test_a_damaged_or_unsigned_release_is_not_pushed(origin: Shop, store: ReleaseStore) -> None:
    (origin.release("r1") / "golden.safetensors").write_bytes(b"other")
    (origin.release("r2") / "manifest.sig").unlink()

    with pytest.raises(ReleaseError, match=r"golden\.safetensors: sha256"):
        push(origin, store, "r1")
    with pytest.raises(SignatureError):
        push(origin, store, "r2")
    with pytest.raises(PublishError, match="no release 'r3'"):
        push(origin, store, "r3")
    assert store.sizes() == {}


def test_a_name_means_one_content_for_ever(origin: Shop, replica: Path, store: ReleaseStore) -> None:
    push(origin, store, "r1")
    fetch(replica, store, "r1")
    shutil.rmtree(origin.release("r1"))
    origin.add("r1", Scaling(1, 4.0), Scaling(1, 2.0))

    with pytest.raises(StoreError, match="another release of this name is there"):
        push(origin, store, "r1")
    shutil.rmtree(origin.release("r1"))
    shutil.copytree(replica / "releases" / "r1", origin.release("r1"))
    push(origin, store, "r1")


def test_a_release_of_the_same_name_is_not_replaced(origin: Shop, replica: Path, store: ReleaseStore) -> None:
    shutil.copytree(origin.release("r1"), replica / "releases" / "r1")
    shutil.rmtree(origin.release("r1"))
    origin.add("r1", Scaling(1, 4.0), Scaling(1, 2.0))
    push(origin, store, "r1")
    before = file_hashes(replica / "releases" / "r1")

    with pytest.raises(ReleaseError, match="another release than"):
        fetch(replica, store, "r1")
    assert file_hashes(replica / "releases" / "r1") == before


@pytest.mark.parametrize("name", ["../r1", "r0", "", "channels.json", "r1/.."])
def test_what_is_no_release_id_is_refused(name: str, replica: Path, folder_store: ReleaseStore) -> None:
    with pytest.raises(StoreError, match="expected a release id"):
        fetch(replica, folder_store, name)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "shop", "file://host/x", "file:x", "/x", "https://x/y"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="expected"):
        ReleaseStore.open(url)


def test_a_store_of_google_has_an_address() -> None:
    assert ReleaseStore.open("gs://bucket/prefix").folder is None


def test_objects_are_read_in_chunks(store: ReleaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopfuse.release_store.store.CHUNK", 5 << 20)
    content = os.urandom((11 << 20) + 7)
    (tmp_path / "large").write_bytes(content)
    store.upload(tmp_path / "large", "large")
    chunks = list(store.download("large", len(content)))

    assert [len(chunk) for chunk in chunks] == [5 << 20, 5 << 20, (1 << 20) + 7]
    assert b"".join(chunks) == content


def test_a_manifest_that_is_far_too_large_is_not_read(store: ReleaseStore) -> None:
    obstore.put(store.objects, "releases/r1/manifest.sig", b"." * 5000)

    with pytest.raises(ShopfuseError, match="5000 bytes, expected at most 4096"):
        store.read("releases/r1/manifest.sig", 4096)


def test_the_signature_is_written_last(origin: Shop, folder_store: ReleaseStore) -> None:
    push(origin, folder_store, "r1")
    assert folder_store.folder
    files = sorted(
        (path for path in folder_store.folder.rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns
    )

    assert [path.name for path in files[-2:]] == ["manifest.json", "manifest.sig"]
    assert json.loads(files[-2].read_text())["release_id"] == "r1"
