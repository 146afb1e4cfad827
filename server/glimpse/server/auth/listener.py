"""Where the server listens, and in what: TLS, or plain text where nobody else listens in."""

import ipaddress
import logging
import socket

import grpc

from glimpse.server.settings import Settings, SettingsError

logger = logging.getLogger(__name__)


def credentials_of(settings: Settings) -> grpc.ServerCredentials | None:
    """What the listener identifies itself with; None: it is in plain text. Raises SettingsError."""
    _check_form(settings.listen)
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert and key:
        # Not loaded where nobody asks for TLS.
        from glimpse.server.auth.certificates import Certificates

        return Certificates(cert, key, client_ca).credentials()
    if cert or key or client_ca:
        raise SettingsError("TLS needs both tls_cert and tls_key; tls_client_ca is beside them")
    if not settings.insecure and not is_loopback(settings.listen):
        raise SettingsError(
            f"listening on {settings.listen} without TLS would show every key and input to the network; give "
            "--tls-cert and --tls-key, listen on 127.0.0.1, or say --insecure where something else encrypts"
        )
    return None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address, HOST:PORT or unix:PATH."""
    if is_socket(address):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may mean another address tomorrow
        return False


def is_socket(address: str) -> bool:
    """Whether an address is a socket in the file system, unix:PATH."""
    return address.startswith("unix:")


def requires_auth(settings: Settings) -> bool:
    """Whether nobody comes in without a key or token. Not set: so where others reach us, or tokens are taken."""
    if settings.require_auth is not None:
        return settings.require_auth
    return settings.jwt_issuer is not None or (settings.tls_cert is not None and not is_loopback(settings.listen))


def warn_where_open(settings: Settings, listen: str) -> None:
    """Logs that whoever reaches HOST:PORT may do everything, where that is so."""
    if not (requires_auth(settings) or settings.tls_client_ca or is_loopback(listen)):
        logger.warning(
            "whoever reaches %s may read, change and delete everything: nobody is asked for a key. Set require_auth "
            "(GLIMPSE_REQUIRE_AUTH=1; `glimpse keys create` makes keys), or see to it that only friends reach it",
            listen,
        )


def bind(server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials | None) -> str:
    """Has the server listen; returns the address, with its port. Raises OSError."""
    host = listen.rpartition(":")[0]
    if is_socket(listen):
        _check_free(listen)
    try:
        port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
    except RuntimeError as error:
        if is_socket(listen):
            raise OSError(f"cannot listen on {listen}: its folder has to exist and to be writable") from error
        raise OSError(f"cannot listen on {listen}: is another server there? Try --listen {host}:0") from error
    return listen if is_socket(listen) else f"{host}:{port}"


def _check_form(listen: str) -> None:
    """Raises SettingsError for what is neither HOST:PORT nor unix:PATH."""
    if is_socket(listen):
        return
    host, separator, port = listen.rpartition(":")
    if not separator or "/" in host or not port.isdecimal():
        raise SettingsError(f"listen: {listen!r} is neither HOST:PORT, such as 127.0.0.1:50051, nor unix:PATH")


def _check_free(listen: str) -> None:
    """Raises OSError where a server listens on a socket: gRPC would take its place without a word."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(1.0)
        path = listen.removeprefix("unix:").removeprefix("//")
        if one.connect_ex(path) == 0:
            raise OSError(f"cannot listen on {listen}: another server is there")
