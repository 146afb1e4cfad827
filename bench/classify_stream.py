"""Sends inputs over one StreamClassify call, as a closed loop of callers does over Classify."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub


class ClassifyStream:
    """An open stream. Answers keep the order of the inputs, so each is the answer to the oldest input that waits."""

    def __init__(self, call: grpc.aio.StreamStreamCall[pb.StreamClassifyRequest, pb.StreamClassifyResponse]) -> None:
        """Reads the answers of `call`, to which only the config was sent."""
        self._call = call
        self._waiting: deque[asyncio.Future[pb.StreamClassifyResponse]] = deque()
        self._writing = asyncio.Lock()  # gRPC takes one message at a time

    async def classify(self, request: pb.StreamClassifyRequest) -> pb.StreamClassifyResponse:
        """Sends one input and returns its answer."""
        answer: asyncio.Future[pb.StreamClassifyResponse] = asyncio.get_running_loop().create_future()
        async with self._writing:
            self._waiting.append(answer)
            await self._call.write(request)
        return await answer

    async def read(self) -> None:
        """Passes the answers on until the stream ends."""
        async for response in self._call:
            self._waiting.popleft().set_result(response)


@asynccontextmanager
async def open_stream(address: str, collections: Sequence[str]) -> AsyncIterator[ClassifyStream]:
    """Opens a StreamClassify call on a server, and closes it at the end."""
    async with grpc.aio.insecure_channel(address) as channel:
        # Without an iterator the caller writes the requests. The generated stubs do not know that form.
        call = ClassificationServiceStub(channel).StreamClassify()  # type: ignore[call-arg]
        await call.write(pb.StreamClassifyRequest(config=pb.StreamClassifyConfig(collections=collections)))
        stream = ClassifyStream(call)
        reader = asyncio.create_task(stream.read())
        yield stream
        await call.done_writing()
        await reader
