"""TLS certificates of the listener. Their files may change while the server runs."""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from glimpse.server.settings import SettingsError

logger = logging.getLogger(__name__)


T = TypeVar("T")


class _Pem(NamedTuple):
    """The contents of the files."""

    cert: bytes
    key: bytes
    roots: bytes | None


class Certificates:
    """A certificate, its private key and the CA of client certificates, for one listener.

    The files are read again when they change.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: Sequence[object] = ()
        self._lock = threading.Lock()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for gRPC's listener. Raises SettingsError if a file is unusable."""

        def configure(pem: _Pem) -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], pem.roots)

        self._seen = self._state()
        # gRPC calls the function before each handshake, in a thread. None keeps the old certificates.
        return grpc.dynamic_ssl_server_credentials(
            configure(self._read()),
            lambda: self._changed(configure),  # type: ignore[arg-type,return-value]  # None is allowed
            bool(self._client_ca),
        )

    def ssl_context(self) -> ssl.SSLContext:
        """Returns a context for a listener of HTTP/1.1. Raises SettingsError if a file is unusable."""
        self._seen = self._state()
        first = current = self._ssl_context(self._read())

        def select(handshake: Any, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal current
            current = self._changed(self._ssl_context) or current
            handshake.context = current

        first.sni_callback = select  # OpenSSL calls it in each handshake, also without a name
        return first

    def _ssl_context(self, pem: _Pem) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # A resumed session would skip the check of the client's certificate against a changed CA.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            # It takes files alone. They have just been checked, and a pair that changes meanwhile is an error.
            context.load_cert_chain(self._cert, self._key)
            if pem.roots is not None:
                context.load_verify_locations(cadata=pem.roots.decode())
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self._cert}: {error}") from error
        return context

    def _changed(self, build: Callable[[_Pem], T]) -> T | None:
        """Returns what `build` makes of new files; None if nothing has changed or the new files are unusable."""
        with self._lock:
            try:
                try:
                    state = self._state()
                except SettingsError as error:
                    state = [str(error)]
                if state == self._seen:  # logs each change once, not at every handshake
                    return None
                self._seen = state
                changed = build(self._read())
            except SettingsError as error:
                # Possibly only one file of a new pair is written; the other one will change the state again.
                logger.warning("keeping the old certificate: %s", error)
                return None
        logger.info("certificate reloaded from %s", self._cert)
        return changed

    def _state(self) -> Sequence[object]:
        files = [file for file in (self._cert, self._key, self._client_ca) if file]
        try:
            return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in (file.stat() for file in files)]
        except OSError as error:
            raise SettingsError(f"{error.filename}: {error.strerror}") from error

    def _read(self) -> _Pem:
        cert, key = _bytes(self._cert), _bytes(self._key)
        roots = _bytes(self._client_ca) if self._client_ca else None
        certificate = _public_key(cert, self._cert)
        try:
            private = load_pem_private_key(key, None)
        except TypeError as error:
            raise SettingsError(f"{self._key} has a passphrase; use a key without one") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"{self._key} contains no PEM private key") from error
        if private.public_key() != certificate:
            raise SettingsError(f"the private key in {self._key} does not match the certificate in {self._cert}")
        if roots is not None and self._client_ca:
            _public_key(roots, self._client_ca)
        return _Pem(cert, key, roots)


def _public_key(certificates: bytes, file: Path) -> object:
    """Returns the public key of the first certificate."""
    try:
        return load_pem_x509_certificates(certificates)[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{file} contains no PEM certificate") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
