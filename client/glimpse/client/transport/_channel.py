"""What a channel is made with, and the calls it offers by name."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from glimpse.client.transport._error_details import values_of
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from glimpse.v1.server_service_pb2_grpc import ServerServiceStub

Metadata = tuple[tuple[str, str | bytes], ...]
Options = list[tuple[str, int | str]]

MAX_MESSAGE_BYTES = 32 << 20
#: Keeps gRPC from proxies that the environment names: by the server's name, and by the addresses it resolves to, which
#: the first option does not cover.
NO_PROXY: tuple[tuple[str, int | str], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def channel_options(max_bytes: int, *, proxy: bool) -> Options:
    """Options of a channel whose messages have up to `max_bytes`.

    `proxy`: whether gRPC may use a proxy that the environment names (`http_proxy` and others).
    """
    return [
        *(() if proxy else NO_PROXY),
        # Answers may outgrow requests: a server sends 32 MiB of labels and neighbours at most.
        ("grpc.max_receive_message_length", 4 * max_bytes),
        ("grpc.max_send_message_length", max_bytes + (1 << 20)),
        # Several addresses of one name, or of `ipv4:A:1,B:2`, are used in turn: any server answers for all.
        ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
        # A server that comes back is noticed within a retry's pause, not gRPC's default of up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # So are servers that took others' places behind a name, not after gRPC's 30 s since it last looked.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # Notices a dead peer during a call; without calls, silent, as servers drop clients that ping too
        # much.
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
    ]


@dataclass(frozen=True, slots=True)
class Stubs:
    """The services' stubs on one channel, grpc's or grpc.aio's alike."""

    embedding: Any
    collections: Any
    classification: Any
    server: Any
    health: Any

    def method(self, rpc: str) -> Any:
        """The callable of e.g. `embedding.Embed`."""
        return attrgetter(rpc)(self)


@dataclass(frozen=True, slots=True)
class HealthStub:
    """grpc.health.v1.Health without its package: one string out (field 1), one enum back (field 1)."""

    Check: Any


def stubs_of(channel: Any) -> Stubs:
    """The stubs on a channel."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check", request_serializer=_service_request, response_deserializer=_status
    )
    return Stubs(
        EmbeddingServiceStub(channel),
        CollectionServiceStub(channel),
        ClassificationServiceStub(channel),
        ServerServiceStub(channel),
        HealthStub(check),
    )


def _service_request(service: str) -> bytes:
    name = service.encode()
    if len(name) > 127:
        raise ValueError("a service's name has at most 127 bytes")
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def _status(response: bytes) -> str:
    return _STATUS.get(next(values_of(response, 1), 0), "UNKNOWN")
