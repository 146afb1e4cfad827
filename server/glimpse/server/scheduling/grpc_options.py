"""The options of gRPC itself: sizes, windows and times of connections."""

from typing import Final

from glimpse.server.settings import MIB, Settings

#: The bytes of a call that may arrive before the server reads its message; HTTP/2 flow control holds back the rest. A
#: message within them needs no further round trip. gRPC's own estimate (BDP) goes up to 16 MiB, so it is off.
UNREAD_BYTES: Final = 128 << 10
# A message this much over the limit is still read, so that its refusal has a reason; gRPC refuses larger ones without.
_MARGIN: Final = MIB
# Of one connection; more wait in the client. Without it a connection can have any number.
_MOST_CALLS: Final = 1_000
_MINUTE: Final = 60_000


def receive_limit(settings: Settings) -> int:
    """The largest message that gRPC reads, in bytes."""
    return settings.max_message_bytes + _MARGIN


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """The options of the gRPC server; times in milliseconds."""
    return [
        ("grpc.max_receive_message_length", receive_limit(settings)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", _MOST_CALLS),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
        # That estimate also raises the size of frames; with the least of 16 KiB large messages take a sixth longer.
        ("grpc.http2.max_frame_size", MIB),
        # A peer that is gone without a word (half-open TCP) is noticed within a minute and a half.
        ("grpc.keepalive_time_ms", _MINUTE),
        ("grpc.keepalive_timeout_ms", _MINUTE // 3),
        ("grpc.http2.ping_timeout_ms", _MINUTE // 3),
        # By default two pings are the most without data, so that a quiet stream would end its own connection.
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping as well; those that do it more often than every ten seconds are disconnected.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MINUTE // 6),
        ("grpc.http2.max_ping_strikes", 2),
        # A connection without calls is closed; the client opens another for its next call.
        ("grpc.max_connection_idle_ms", 30 * _MINUTE),
        ("grpc.server_handshake_timeout_ms", _MINUTE // 3),
        # A second server on the same port is a mistake, not a load balancer.
        ("grpc.so_reuseport", 0),
    ]
