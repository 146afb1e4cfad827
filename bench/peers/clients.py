"""Sends one JPEG a call to a server, and returns the vector."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import grpc
import numpy as np
import numpy.typing as npt

from glimpse.v1 import embedding_service_pb2, types_pb2
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

Vector = npt.NDArray[np.float32]
Embed = Callable[[bytes], Awaitable[Vector]]
_SECONDS = 60


@asynccontextmanager
async def glimpse(address: str) -> AsyncIterator[Embed]:
    """Yields a client of a Glimpse server."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = EmbeddingServiceStub(channel)

        async def embed(jpeg: bytes) -> Vector:
            request = embedding_service_pb2.EmbedRequest(inputs=[types_pb2.Input(image=jpeg)])
            [result] = (await stub.Embed(request, timeout=_SECONDS)).results
            if result.status.code:
                raise RuntimeError(result.status.message)
            return np.frombuffer(result.vector.data, "<f4")

        yield embed


@asynccontextmanager
async def naive(address: str) -> AsyncIterator[Embed]:
    """Yields a client of servers/naive.py."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/peers.Naive/Embed", request_serializer=None, response_deserializer=None)

        async def embed(jpeg: bytes) -> Vector:
            return np.frombuffer(await call(jpeg, timeout=_SECONDS), np.float32)

        yield embed


def http(path: str) -> Callable[[str], AbstractAsyncContextManager[Embed]]:
    """Returns a function that opens a client of an HTTP server: the JPEG is the body, and so is the vector."""

    @asynccontextmanager
    async def opened(address: str) -> AsyncIterator[Embed]:
        timeout, connections = aiohttp.ClientTimeout(_SECONDS), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connections, timeout=timeout) as session:

            async def embed(jpeg: bytes) -> Vector:
                headers = {"Content-Type": "image/jpeg"}
                async with session.post(f"http://{address}{path}", data=jpeg, headers=headers) as response:
                    response.raise_for_status()
                    return np.frombuffer(await response.read(), np.float32)

            yield embed

    return opened
