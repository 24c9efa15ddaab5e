"""What a shopper may be about to type: one look into the release's index of completions, and no model.

It knows no user, and writes no impression. A letter typed is answered in well under a millisecond, on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopfuse.ranking.text import normalise_text
from shopfuse.recall.completion.entries import BRAND, CATEGORY, QUERY
from shopfuse.recall.completion.index import KINDS, TOP
from shopfuse.v1 import completion_pb2
from shopfuse_gateway.errors import Unsupported
from shopfuse_gateway.releases.loaded_release import LoadedRelease

DEFAULT_COMPLETIONS = 8
KIND_OF = {
    completion_pb2.COMPLETION_KIND_QUERY: QUERY,
    completion_pb2.COMPLETION_KIND_CATEGORY: CATEGORY,
    completion_pb2.COMPLETION_KIND_BRAND: BRAND,
}
NAME_OF = {kind: name for name, kind in KIND_OF.items()}
MAX_PREFIX = 128


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    prefix: str
    of_each: int
    kinds: tuple[str, ...]


def from_complete(message: completion_pb2.CompleteQueryRequest) -> CompletionRequest:
    """A blank after the prefix says that its last word is whole, and is kept."""
    prefix = normalise_text(message.prefix, MAX_PREFIX)
    ended = message.prefix[-1].isspace()
    kinds = tuple(KIND_OF[kind] for kind in message.kinds)
    return CompletionRequest(
        f"{prefix} " if ended else prefix, min(message.max_completions or DEFAULT_COMPLETIONS, TOP), kinds or KINDS
    )


def complete(release: LoadedRelease, request: CompletionRequest) -> list[completion_pb2.Completion]:
    """Best first; none where the prefix holds no letter and no digit. Raises Unsupported."""
    if release.completions is None:
        raise Unsupported("the served release has no completions: build and publish a new one")
    found = release.completions.complete(request.prefix, request.of_each, request.kinds)
    return [completion_pb2.Completion(kind=NAME_OF[one.kind], text=one.text, items=one.items) for one in found]
