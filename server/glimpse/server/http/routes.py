"""The paths of the HTTP listener: one for each call of the contract, and those of other protocols."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health

from glimpse.server.api.registry import SERVICES
from glimpse.server.http.codecs import JSON, PROTO, STREAM_TYPES, Codec, ConnectJson, ConnectProto, ConnectStream
from glimpse.server.http.embeddings import EMBED, Embeddings
from glimpse.server.http.probes import CHECK, Probe
from glimpse.server.monitoring.probe import ALIVE


@dataclass(frozen=True)
class Route:
    """The call behind a path.

    Attributes:
        method: `/SERVICE/METHOD`, the call that answers.
        codecs: Makes the codec of a request, by the type of its body. The empty type stands for a request without one.
        verb: The HTTP method.
    """

    method: str
    codecs: dict[str, Callable[[], Codec]]
    verb: str = "POST"


def make_routes() -> dict[str, Route]:
    """Returns the route of each path."""
    routes = {
        "/healthz": Route(CHECK, {"": lambda: Probe(ALIVE)}, "GET"),
        "/readyz": Route(CHECK, {"": lambda: Probe("")}, "GET"),
        "/v1/embeddings": Route(EMBED, {JSON: Embeddings}),
    }
    for service in (*SERVICES, health.SERVICE_NAME):
        for method in descriptor_pool.Default().FindServiceByName(service).methods:
            path = f"/{service}/{method.name}"
            routes[path] = Route(path, _codecs(method))
    return routes


def _codecs(method: MethodDescriptor) -> dict[str, Callable[[], Codec]]:
    request, response = (message_factory.GetMessageClass(one) for one in (method.input_type, method.output_type))
    binary, text = ConnectProto(request), ConnectJson(request, response)
    codecs: dict[str, Callable[[], Codec]] = {JSON: lambda: text, PROTO: lambda: binary}
    if method.client_streaming or method.server_streaming:
        for kind in STREAM_TYPES:
            stream = ConnectStream(kind)
            codecs[kind] = lambda stream=stream: stream  # type: ignore[misc]
    return codecs
