"""gRPC options of the server: message sizes, flow-control windows and connection times."""

from typing import Final

from glimpse.server.settings import MIB, Settings

#: Bytes of a call that may arrive before the server reads its message; HTTP/2 flow control holds back the rest. A
#: message up to this size needs no further round trip. gRPC's own estimate (BDP) grows to 16 MiB, so it is off.
UNREAD_BYTES: Final = 128 << 10
# gRPC still reads a message that exceeds the limit by this much, so that the refusal can give a reason. It rejects
# larger messages without one.
_MARGIN: Final = MIB
# Limit of concurrent calls per connection; further calls wait in the client. Without it there is no limit.
_MAX_CALLS: Final = 1_000
_MINUTE: Final = 60_000


def receive_limit(settings: Settings) -> int:
    """Returns the size of the largest message that gRPC reads, in bytes."""
    return settings.max_message_bytes + _MARGIN


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Returns the options of the gRPC server. Times are in milliseconds."""
    return [
        ("grpc.max_receive_message_length", receive_limit(settings)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", _MAX_CALLS),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
        # The BDP estimate also raises the frame size; with the minimum of 16 KiB large messages take a sixth longer.
        ("grpc.http2.max_frame_size", MIB),
        # Detects a peer that vanished without closing its connection (half-open TCP) within 90 seconds.
        ("grpc.keepalive_time_ms", _MINUTE),
        ("grpc.keepalive_timeout_ms", _MINUTE // 3),
        ("grpc.http2.ping_timeout_ms", _MINUTE // 3),
        # The default allows two pings without data; a quiet stream would then end its own connection.
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping too. A client that pings more often than every ten seconds is disconnected.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MINUTE // 6),
        ("grpc.http2.max_ping_strikes", 2),
        # A connection without calls is closed; the client opens another one for its next call.
        ("grpc.max_connection_idle_ms", 30 * _MINUTE),
        ("grpc.server_handshake_timeout_ms", _MINUTE // 3),
        # A second server on the same port is a mistake, not load balancing.
        ("grpc.so_reuseport", 0),
    ]
