"""One channel to all of Triton's addresses."""

from __future__ import annotations

from dataclasses import replace

from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.fake_triton import FakeTriton, Triton
from tests.gateway.shop import Serve


async def test_every_address_of_triton_is_asked(serve: Serve) -> None:
    tritons = [Triton(FakeTriton(), 0, []) for _ in range(2)]
    tritons = [replace(triton, port=await triton.start()) for triton in tritons]
    addresses = ",".join(f"127.0.0.1:{triton.port}" for triton in tritons)
    try:
        async with serve(triton=f"ipv4:{addresses}") as shop:
            for word in ("red shoes", "blue boots", "green socks"):
                await shop.search(SearchRequest(query=word))
    finally:
        for triton in tritons:
            await triton.stop()

    assert all(triton.fake.calls for triton in tritons)
