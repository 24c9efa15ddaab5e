"""Two publishers do not overwrite each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import obstore
import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import rollback
from shopfuse.release.channels import Channels
from shopfuse.release.manifest import ReleaseError
from shopfuse.release_store import pointers as pointers_module
from shopfuse.release_store.pointers import Pointers, PointersMoved, move_pointers, read_pointers, remember
from shopfuse.release_store.push import Pushed, push_channels
from shopfuse.release_store.store import CHANNELS, ReleaseStore, StoreError
from tests.publishing.tiny_release import Shop


def push(root: Path, store: ReleaseStore, force: bool = False) -> Pushed:
    return push_channels(root, store, public_key=WorkspacePaths(root).public_key, force=force)


@pytest.fixture
def published(origin: Shop, store: ReleaseStore) -> Shop:
    """r1 is stable, here and in the store."""
    publish(origin.root, "r1", control=None, public_key=origin.key)
    push(origin.root, store)
    return origin


def test_channels_follow_the_releases_that_they_name(published: Shop, store: ReleaseStore) -> None:
    publish(published.root, "r2", control=None, public_key=published.key, share=0.05)
    pushed = push(published.root, store)

    assert [each.release_id for each in pushed.releases] == ["r1", "r2"]
    assert pushed.pointers == read_pointers(store)
    assert read_pointers(store).channels == Channels(stable="r1", canary="r2", canary_share=0.05)
    assert read_pointers(store).generation == 2
    assert "@" in read_pointers(store).who


def test_pushing_the_same_channels_again_changes_nothing(published: Shop, store: ReleaseStore) -> None:
    before = read_pointers(store)

    assert push(published.root, store).pointers == before == read_pointers(store)


def test_an_empty_store_names_nothing(store: ReleaseStore) -> None:
    assert read_pointers(store) == Pointers()


def test_a_publisher_who_has_not_seen_the_channels_is_refused(
    published: Shop, store: ReleaseStore, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(published.root, other)
    publish(other, "r2", control=None, public_key=published.key)
    push(other, store)
    publish(published.root, "r2", control=None, public_key=published.key, share=0.5)

    with pytest.raises(PointersMoved, match=r"has changed the channels .* stable r2, previous r1"):
        push(published.root, store)
    assert read_pointers(store).channels == Channels(stable="r2", previous="r1")
    push(published.root, store, force=True)
    assert read_pointers(store).channels.canary == "r2"


def test_who_pulls_what_the_other_did_may_go_on_from_there(
    published: Shop, store: ReleaseStore, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(published.root, other)
    publish(other, "r2", control=None, public_key=published.key)
    push(other, store)
    remember(published.root, store, read_pointers(store))
    publish(published.root, "r2", control=None, public_key=published.key)
    rollback(published.root, control=None, public_key=published.key)
    push(published.root, store)

    assert read_pointers(store).channels == Channels(stable="r1", previous="r2")


def test_of_two_who_write_at_once_one_is_refused(
    published: Shop, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def between(workspace: Path, of: ReleaseStore) -> int:
        """Called after the channels are read and before they are written."""
        monkeypatch.undo()
        move_pointers(published.root, store, Channels(stable="r2"))
        return 1

    monkeypatch.setattr(pointers_module, "seen_generation", between)
    with pytest.raises(PointersMoved, match="at this moment"):
        move_pointers(published.root, store, Channels(stable="r1", canary="r2", canary_share=0.1))

    assert read_pointers(store).channels == Channels(stable="r2")


def test_of_two_who_write_the_first_channels_one_is_refused(
    origin: Shop, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def between(workspace: Path, of: ReleaseStore) -> int:
        monkeypatch.undo()
        move_pointers(origin.root, store, Channels(stable="r2"))
        return 0

    monkeypatch.setattr(pointers_module, "seen_generation", between)
    with pytest.raises(PointersMoved, match="at this moment"):
        move_pointers(origin.root, store, Channels(stable="r1"))

    assert read_pointers(store).channels == Channels(stable="r2")


def test_a_workspace_without_channels_has_none_to_push(origin: Shop, store: ReleaseStore) -> None:
    with pytest.raises(StoreError, match="nothing is published here"):
        push(origin.root, store)


def test_a_release_that_only_the_store_has_is_not_missed(published: Shop, store: ReleaseStore) -> None:
    publish(published.root, "r2", control=None, public_key=published.key)
    push(published.root, store)
    shutil.rmtree(published.release("r1"))
    publish(published.root, "r2", control=None, public_key=published.key)

    assert [each.release_id for each in push(published.root, store).releases] == ["r2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not the channels of a store"),
        (b"[]", "not the channels of a store"),
        (b'{"format": 2}', "of another format"),
        (b'{"format": 1, "channels": {"stable": "a/b"}, "generation": 1}', "expected release ids"),
        (b'{"format": 1, "channels": {"stable": ""}, "generation": 1}', "expected a generation and a stable release"),
        (b'{"format": 1, "channels": {"stable": "r1", "canary_share": 7}, "generation": 1}', "expected 0 to 1"),
        (b"." * (65 << 10), "expected at most"),
    ],
)
def test_channels_that_are_none_are_refused(content: bytes, message: str, store: ReleaseStore) -> None:
    obstore.put(store.objects, CHANNELS, content)

    with pytest.raises(ReleaseError, match=message):
        read_pointers(store)
