"""Server reflection, so that grpcurl and the like need no .proto files: v1alpha, and v1 with the same messages."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

from glimpse.server.api.handlers import Context, account_request, streaming
from glimpse.server.runtime import Runtime

_V1 = "grpc.reflection.v1.ServerReflection"
#: Full names of the services of both versions.
REFLECTIONS = (_V1, reflection.SERVICE_NAME)


class Reflection(ReflectionServicer):  # type: ignore[misc]  # without types
    """Describes services. Its streams and messages count like those of any call."""

    def __init__(self, runtime: Runtime, services: Sequence[str]) -> None:
        super().__init__(services)
        self.runtime, self.settings = runtime, runtime.settings

    @streaming
    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        """An answer to each request."""
        async for answer in super().ServerReflectionInfo(self._checked(requests), context):
            yield answer

    async def _checked(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        # Each message has a limited time, as that of a call with one has: such streams are short.
        while (request := await self.runtime.inbound.next(lambda: anext(requests, None))) is not None:
            account_request(self, request)
            yield request


def add_reflection(server: Any, runtime: Runtime, services: Sequence[str]) -> None:
    """Describes the services under both versions of the protocol."""
    # v1 is answered, but not listed: there is no descriptor of it to describe it by.
    servicer = Reflection(runtime, (*services, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    # The v1 messages have the v1alpha ones' fields and numbers; grpcio-reflection generates only the latter.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler}),))
