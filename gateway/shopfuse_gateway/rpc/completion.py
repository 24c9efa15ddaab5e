"""What a shopper may be about to type: one look into the release's index of completions, and no model.

It knows no user, and writes no impression. A letter typed is answered in well under a millisecond, so that it may stay
on the event loop; a mistyped one takes a millisecond, and is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from shopfuse.ranking.text import normalise_text
from shopfuse.recall.completion.entries import BRAND, CATEGORY, QUERY
from shopfuse.recall.completion.index import KINDS, TOP
from shopfuse.v1 import completion_pb2, completion_pb2_grpc
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.rpc.services import Answering
from shopfuse_gateway.telemetry.request_trace import RequestTrace

DEFAULT_COMPLETIONS = 8
MAX_PREFIX = 128
KIND_OF = {
    completion_pb2.COMPLETION_KIND_QUERY: QUERY,
    completion_pb2.COMPLETION_KIND_CATEGORY: CATEGORY,
    completion_pb2.COMPLETION_KIND_BRAND: BRAND,
}
NAME_OF = {kind: name for name, kind in KIND_OF.items()}


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request in the words of the index."""

    prefix: str  # normalised; it ends with a blank where its last word is whole
    of_each: int  # completions of each kind at most
    kinds: tuple[str, ...]  # of recall/completion/index.py, in the order of the request


def from_complete(message: completion_pb2.CompleteQueryRequest) -> CompletionRequest:
    """A blank after the prefix says that its last word is whole, and is kept."""
    prefix = normalise_text(message.prefix, MAX_PREFIX)
    kinds = tuple(KIND_OF[kind] for kind in message.kinds)
    return CompletionRequest(
        f"{prefix} " if message.prefix[-1].isspace() else prefix,
        min(message.max_completions or DEFAULT_COMPLETIONS, TOP),
        kinds or KINDS,
    )


def complete(release: LoadedRelease, request: CompletionRequest) -> list[completion_pb2.Completion]:
    """Best first; none where the prefix holds no letter and no digit."""
    found = release.completions.complete(request.prefix, request.of_each, request.kinds)
    return [completion_pb2.Completion(kind=NAME_OF[one.kind], text=one.text, items=one.items) for one in found]


class CompletionService(completion_pb2_grpc.CompletionServiceServicer):
    """Admitted, bounded and counted like the others; of the stable release, for it knows nobody whom to put into a
    canary's share."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def CompleteQuery(  # noqa: N802  (gRPC's name)
        self, request: completion_pb2.CompleteQueryRequest, context: grpc.aio.ServicerContext
    ) -> completion_pb2.CompleteQueryResponse:
        with self._answering.looking_up(request, context, "complete") as release:
            return completion_pb2.CompleteQueryResponse(
                completions=complete(release, from_complete(request)),
                request_id=RequestTrace.current().request_id,
                served_by=release.served_by,
            )
