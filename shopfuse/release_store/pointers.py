"""The channels of a store: one small object that publishers replace by compare-and-set and replicas follow.

Each change has the next generation. A publisher changes what it has seen: where somebody else was faster, it is
refused, as a push that is no fast-forward is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shopfuse.core.atomic_files import write_text
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.publication_log import now, this_user
from shopfuse.release.channels import Channels, parse_channels
from shopfuse.release.manifest import ReleaseError
from shopfuse.release_store.store import CHANNELS, NotInStore, ReleaseStore, StoreError

if TYPE_CHECKING:
    from obstore import UpdateVersion

FORMAT = 1
AT_MOST = 64 << 10  # bytes


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a store's channels are since their last change; generation 0 where nothing was published there."""

    channels: Channels = field(default_factory=Channels)
    generation: int = 0
    who: str = ""  # user@host
    at: str = ""  # ISO 8601, UTC


class PointersMoved(StoreError):
    """Somebody else changed the channels since this workspace last saw them."""


def read_pointers(store: ReleaseStore) -> Pointers:
    return _read(store)[0]


def _read(store: ReleaseStore) -> tuple[Pointers, UpdateVersion | None]:
    source = f"{store.url}/{CHANNELS}"
    try:
        content, version = store.read(CHANNELS, AT_MOST)
    except NotInStore:
        return Pointers(), None
    try:
        raw = json.loads(content)
        if raw.pop("format") != FORMAT:
            raise StoreError(f"{source}: of another format; update shopfuse on this machine")
        pointers = Pointers(channels=parse_channels(raw.pop("channels"), source), **raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{source}: not the channels of a store ({error!r})") from error
    if not isinstance(pointers.generation, int) or not pointers.channels.stable:
        raise StoreError(f"{source}: expected a generation and a stable release, found {pointers}")
    return pointers, version


def move_pointers(workspace: Path, store: ReleaseStore, channels: Channels, force: bool = False) -> Pointers:
    """The store's channels become these. Raises PointersMoved unless this workspace has seen those before (or `force`).

    Nothing is written where they are these already.
    """
    before, version = _read(store)
    if before.generation and before.channels == channels:
        remember(workspace, store, before)
        return before
    if not force and before.generation != (seen := seen_generation(workspace, store)):
        raise PointersMoved(
            f"{store.url}: {before.who} has changed the channels ({before.at}, generation {before.generation}, this "
            f"workspace has seen {seen}): they are {_line(before.channels)}. See what that was, take it over with "
            "`shopfuse release pull`, then push again; --force replaces it"
        )
    after = Pointers(channels, before.generation + 1, this_user(), now())
    content = json.dumps({"format": FORMAT, **asdict(after)}, indent=2, sort_keys=True).encode()
    taken = store.create(CHANNELS, content) if version is None else store.replace(CHANNELS, content, version)
    if not taken:
        raise PointersMoved(f"{store.url}: somebody else changes the channels at this moment; look, and push again")
    remember(workspace, store, after)
    return after


def _line(channels: Channels) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(channels).items() if value)


def remember(workspace: Path, store: ReleaseStore, pointers: Pointers) -> None:
    """That this workspace has seen these channels of the store."""
    seen = _seen(workspace) | {store.url: pointers.generation}
    write_text(WorkspacePaths(workspace).seen_in_stores, json.dumps(seen, indent=2, sort_keys=True))


def seen_generation(workspace: Path, store: ReleaseStore) -> int:
    return _seen(workspace).get(store.url, 0)


def _seen(workspace: Path) -> dict[str, int]:
    path = WorkspacePaths(workspace).seen_in_stores
    try:
        return {str(url): int(generation) for url, generation in json.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ReleaseError(f"{path}: cannot be read; remove it, and pull before you push ({error})") from error
