"""The listener: its address, with TLS, or in plain text if the network is private."""

import ipaddress
import logging
import socket
from typing import TYPE_CHECKING

import grpc

from glimpse.server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from glimpse.server.auth.certificates import Certificates

logger = logging.getLogger(__name__)


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Returns the TLS credentials of the gRPC listener, or None for plain text. Raises SettingsError."""
    _check_form(settings.listen)
    certificates = tls_certificates(settings, settings.listen)
    return certificates.credentials() if certificates else None


def tls_certificates(settings: Settings, address: str) -> "Certificates | None":
    """Returns the certificates for a listener at an address, or None for plain text. Raises SettingsError."""
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert and key:
        # Imported only if the settings use TLS.
        from glimpse.server.auth.certificates import Certificates

        return Certificates(cert, key, client_ca)
    if cert or key or client_ca:
        raise SettingsError("TLS needs both tls_cert and tls_key; tls_client_ca is optional")
    if not settings.insecure and not is_loopback(address):
        raise SettingsError(
            f"listening on {address} without TLS would expose every key and input to the network; give "
            "--tls-cert and --tls-key, listen on 127.0.0.1, or use --insecure if a proxy encrypts the traffic"
        )
    return None


def check_http(settings: Settings, address: str) -> None:
    """Checks the address of the HTTP listener, and that it has TLS if it needs it. Raises SettingsError."""
    if is_socket(address) or not _is_host_and_port(address):
        raise SettingsError(f"http: {address!r} is not HOST:PORT (such as 127.0.0.1:8080)")
    tls_certificates(settings, address)


def is_loopback(address: str) -> bool:
    """Returns whether only this machine can reach an address, HOST:PORT or unix:PATH."""
    if is_socket(address):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name may resolve to another address later
        return False


def is_socket(address: str) -> bool:
    """Returns whether an address is a socket in the file system, unix:PATH."""
    return address.startswith("unix:")


def requires_auth(settings: Settings) -> bool:
    """Returns whether every call needs a key or token.

    If the setting is not set: with TLS on an address that other machines can reach, or with tokens.
    """
    if settings.require_auth is not None:
        return settings.require_auth
    reachable = not all(map(is_loopback, filter(None, (settings.listen, settings.http))))
    return settings.jwt_issuer is not None or (settings.tls_cert is not None and reachable)


def warn_if_unprotected(settings: Settings, listen: str) -> None:
    """Logs a warning if every caller that can reach HOST:PORT has full access."""
    if not (requires_auth(settings) or settings.tls_client_ca or is_loopback(listen)):
        logger.warning(
            "no authentication: all callers that can reach %s may read, change and delete everything. Set require_auth "
            "(GLIMPSE_REQUIRE_AUTH=1; `glimpse keys create` makes keys), or restrict access to the address",
            listen,
        )


def bind(server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials | None) -> str:
    """Binds the server to an address; returns the address with its port. Raises OSError."""
    host = listen.rpartition(":")[0]
    if is_socket(listen):
        _check_free(listen)
    try:
        port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
    except RuntimeError as error:
        if is_socket(listen):
            raise OSError(f"cannot listen on {listen}: its folder must exist and be writable") from error
        raise OSError(f"cannot listen on {listen}: is another server using it? Try --listen {host}:0") from error
    return listen if is_socket(listen) else f"{host}:{port}"


def _check_form(address: str) -> None:
    """Raises SettingsError if an address is neither HOST:PORT nor unix:PATH."""
    if not is_socket(address) and not _is_host_and_port(address):
        raise SettingsError(f"listen: {address!r} is neither HOST:PORT (such as 127.0.0.1:50051) nor unix:PATH")


def _is_host_and_port(address: str) -> bool:
    host, separator, port = address.rpartition(":")
    return bool(separator) and "/" not in host and port.isdecimal()


def _check_free(listen: str) -> None:
    """Raises OSError if a server already listens on a socket: gRPC would replace it silently."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        path = listen.removeprefix("unix:").removeprefix("//")
        if probe.connect_ex(path) == 0:
            raise OSError(f"cannot listen on {listen}: another server is using it")
