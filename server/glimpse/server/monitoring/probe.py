"""Checks the server of this container: `python -m glimpse.server.monitoring.probe [SERVICE]` exits with 0 if it serves.

For Docker's HEALTHCHECK and for probes that run a command. It reads GLIMPSE_LISTEN and GLIMPSE_TLS_… as the server
does, and imports next to nothing, as it runs every few seconds: `glimpse status` takes four times as long, and a key.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # gRPC's core would say more on stderr than the one line. It asks when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

#: The health service that is SERVING as long as the process answers, while it warms up and drains too.
ALIVE = "alive"
_SERVING = b"\x08\x01"  # field 1 of grpc.health.v1.HealthCheckResponse
_SECONDS = 4.0
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
_LISTEN = "127.0.0.1:50051"
# The server is on this machine, so no proxy that the environment names leads to it: not by its name, and not by the
# address that it resolves to.
_NO_PROXY = [("grpc.enable_http_proxy", 0), ("grpc.address_http_proxy_enabled_addresses", "")]


def main() -> None:
    """Exits with 0, or with one line that says why not."""
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
        # Bytes in and bytes out: the messages are smaller than their package.
        answer = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(request, timeout=_SECONDS)
    if answer != _SERVING:
        sys.exit("NOT_SERVING")


def _address() -> str:
    """Where this machine reaches what the server listens on."""
    listen = _variable("LISTEN") or _LISTEN
    if listen.startswith("unix:"):
        return listen
    host, separator, port = listen.rpartition(":")
    if not separator or "/" in listen:
        raise ValueError(f"GLIMPSE_LISTEN is neither HOST:PORT nor unix:PATH: {listen!r}")
    return f"{_HERE.get(host, host)}:{port}"


def _variable(name: str) -> str | None:
    """A variable's value; None where it is not set or blank."""
    return os.environ.get(f"GLIMPSE_{name}", "").strip() or None


def _channel(address: str) -> grpc.Channel:
    """With TLS the server's own certificate is what is trusted: it is known, and made for another name than this one.

    Where the server asks for clients' certificates, the same one is shown: it has to be of a CA that the server trusts.
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
    """A name that a certificate is for. Raises ValueError where it has none."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(chain)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise ValueError("the server's certificate names no host") from error
    for name in (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))):
        return name.replace("*", "any", 1)
    raise ValueError("the server's certificate names no host")


if __name__ == "__main__":
    main()
