"""Health probe of the server in this container: `python -m glimpse.server.monitoring.probe [SERVICE]`.

It exits with 0 if the server is SERVING. Docker's HEALTHCHECK and probes that run a command use it. It reads
GLIMPSE_LISTEN and GLIMPSE_TLS_* like the server. It runs every few seconds, so it imports very little: `glimpse status`
takes four times as long, and needs a key.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Keeps gRPC's core from writing to stderr in addition to the one line. gRPC reads this at its import.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

#: Name of the health service that is SERVING while the process answers, also during warm-up and drain.
ALIVE = "alive"
_SERVING = b"\x08\x01"  # field 1 of grpc.health.v1.HealthCheckResponse
_SECONDS = 4.0
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
_LISTEN = "127.0.0.1:50051"
# The server is on this machine, so a proxy from the environment must not be used, neither for its name nor for the
# address that the name resolves to.
_NO_PROXY = [("grpc.enable_http_proxy", 0), ("grpc.address_http_proxy_enabled_addresses", "")]


def main() -> None:
    """Exits with 0 if the server is SERVING, otherwise with one line that gives the reason."""
    try:
        _check(sys.argv[1] if len(sys.argv) > 1 else "")
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def _check(service: str) -> None:
    name = service.encode()
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    with _channel(_address()) as channel:
        # Sends and reads bytes: importing the messages' package would take longer than the call.
        response = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(request, timeout=_SECONDS)
    if response != _SERVING:
        sys.exit("NOT_SERVING")


def _address() -> str:
    """Returns the address at which this machine can reach the server."""
    listen = _variable("LISTEN") or _LISTEN
    if listen.startswith("unix:"):
        return listen
    host, separator, port = listen.rpartition(":")
    if not separator or "/" in listen:
        raise ValueError(f"GLIMPSE_LISTEN is neither HOST:PORT nor unix:PATH: {listen!r}")
    return f"{_HERE.get(host, host)}:{port}"


def _variable(name: str) -> str | None:
    """Returns the value of an environment variable; None if it is not set or blank."""
    return os.environ.get(f"GLIMPSE_{name}", "").strip() or None


def _channel(address: str) -> grpc.Channel:
    """Returns a channel. With TLS it trusts the server's own certificate, which is issued for another host name.

    If the server requires client certificates, the channel presents the same one, so a CA that the server trusts must
    have issued it.
    """
    file, key_file = _variable("TLS_CERT"), _variable("TLS_KEY")
    if not file:
        return grpc.insecure_channel(address, _NO_PROXY)
    chain = Path(file).read_bytes()
    if _variable("TLS_CLIENT_CA"):
        if not key_file:
            raise ValueError("GLIMPSE_TLS_CLIENT_CA needs GLIMPSE_TLS_KEY as well")
        credentials = grpc.ssl_channel_credentials(chain, Path(key_file).read_bytes(), chain)
    else:
        credentials = grpc.ssl_channel_credentials(chain)
    return grpc.secure_channel(address, credentials, [*_NO_PROXY, ("grpc.ssl_target_name_override", _name(chain))])


def _name(chain: bytes) -> str:
    """Returns a host name of a certificate. Raises ValueError if it has none."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(chain)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise ValueError("the server's certificate has no host name") from error
    for name in (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))):
        return name.replace("*", "any", 1)
    raise ValueError("the server's certificate has no host name")


if __name__ == "__main__":
    main()
