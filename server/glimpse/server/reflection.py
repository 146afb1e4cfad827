"""Server reflection, so that grpcurl and the like need no .proto files: v1alpha, and v1 with the same messages."""

from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

_V1 = "grpc.reflection.v1.ServerReflection"
#: Full names of the services of both versions.
REFLECTIONS = (_V1, reflection.SERVICE_NAME)


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Describes the services under both versions of the protocol."""
    # v1 is answered, but not listed: there is no descriptor of it to describe it by.
    names = (*services, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    servicer = ReflectionServicer(names)
    # The v1 messages have the v1alpha ones' fields and numbers; grpcio-reflection generates only the latter.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler}),))
