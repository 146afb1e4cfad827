"""The options of a channel, and its stubs by name."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from glimpse.client.transport._error_details import values_of
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from glimpse.v1.review_service_pb2_grpc import ReviewServiceStub
from glimpse.v1.server_service_pb2_grpc import ServerServiceStub

Metadata = tuple[tuple[str, str | bytes], ...]
Options = list[tuple[str, int | str]]

MAX_MESSAGE_BYTES = 32 << 20
#: Options that keep gRPC from the proxies in the environment, for the name of the server and for its addresses.
NO_PROXY: tuple[tuple[str, int | str], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def channel_options(max_bytes: int, *, proxy: bool) -> Options:
    """Returns the options of a channel.

    Args:
        max_bytes: Largest size of a request, in bytes.
        proxy: Whether gRPC may use a proxy of the environment (`http_proxy` and others).
    """
    return [
        *(() if proxy else NO_PROXY),
        # A response may be larger than its request: a server sends at most 32 MiB of labels and neighbours.
        ("grpc.max_receive_message_length", 4 * max_bytes),
        ("grpc.max_send_message_length", max_bytes + (1 << 20)),
        # The addresses of one name, or of `ipv4:A:1,B:2`, are used in turn: all servers give the same answers.
        ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
        # Reconnect within the pause of a retry, and several times before a client that never connected gives up.
        # gRPC's default is up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 400),
        # Resolve a name again after one second, to find new servers behind it. gRPC's default is 30 seconds.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # Detect a dead server during a call. Without calls, send no pings, because servers drop clients that ping too
        # often.
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
    ]


@dataclass(frozen=True, slots=True)
class Stubs:
    """The stubs of the services on one channel, of grpc or grpc.aio."""

    embedding: Any
    collections: Any
    classification: Any
    review: Any
    server: Any
    health: Any

    def method(self, rpc: str) -> Any:
        """Returns the callable of a method, for example `embedding.Embed`."""
        return attrgetter(rpc)(self)


@dataclass(frozen=True, slots=True)
class HealthStub:
    """grpc.health.v1.Health without its package: its request has one string, its response one enum, both field 1."""

    Check: Any


def stubs_of(channel: Any) -> Stubs:
    """Returns the stubs on a channel."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check", request_serializer=_service_request, response_deserializer=_status
    )
    return Stubs(
        EmbeddingServiceStub(channel),
        CollectionServiceStub(channel),
        ClassificationServiceStub(channel),
        ReviewServiceStub(channel),
        ServerServiceStub(channel),
        HealthStub(check),
    )


def _service_request(service: str) -> bytes:
    name = service.encode()
    if len(name) > 127:
        raise ValueError("the name of a service has at most 127 bytes")
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def _status(response: bytes) -> str:
    return _STATUS.get(next(values_of(response, 1), 0), "UNKNOWN")
