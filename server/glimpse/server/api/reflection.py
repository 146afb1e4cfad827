"""Server reflection, so that tools such as grpcurl need no .proto files: v1alpha, and v1 with the same messages."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

from glimpse.server.api.handlers import Context, account_request, streaming
from glimpse.server.runtime import Runtime

_V1 = "grpc.reflection.v1.ServerReflection"
#: The full names of the service in both versions.
REFLECTIONS = (_V1, reflection.SERVICE_NAME)


class Reflection(ReflectionServicer):  # type: ignore[misc]  # the base class has no types
    """Describes services. Its streams and messages count against the limits like those of other calls."""

    def __init__(self, runtime: Runtime, services: Sequence[str]) -> None:
        """Describes the services with these full names."""
        super().__init__(services)
        self.runtime, self.settings = runtime, runtime.settings

    @streaming
    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        """Checks the size of each request, and answers it from the descriptors of the services."""
        async for response in super().ServerReflectionInfo(self._accounted(requests), context):
            yield response

    async def _accounted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        # These streams are short, so each message has the time limit of a unary call's message.
        while (request := await self.runtime.inbound.next(lambda: anext(requests, None))) is not None:
            account_request(self, request)
            yield request


def add_reflection(server: Any, runtime: Runtime, services: Sequence[str]) -> None:
    """Adds reflection to a server, under both versions of the protocol.

    Args:
        server: The grpc.aio.Server.
        runtime: The parts of the server, for its limits.
        services: The full names of the services to describe.
    """
    # v1 is answered but not listed, because grpcio-reflection has no descriptor of it.
    servicer = Reflection(runtime, (*services, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    # The v1 messages have the fields and numbers of v1alpha, which are the only ones that grpcio-reflection generates.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler}),))
