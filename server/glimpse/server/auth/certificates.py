"""TLS certificates of the listener. Their files may change while the server runs."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from glimpse.server.settings import SettingsError

logger = logging.getLogger(__name__)


class Certificates:
    """A certificate, its private key and the CA of client certificates. Files are read again when they change."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: Sequence[object] = ()
        self._lock = threading.Lock()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for a listener. Raises SettingsError if a file is unusable."""
        self._seen = self._state()
        first = self._read()
        return grpc.dynamic_ssl_server_credentials(first, self._changed, bool(self._client_ca))  # type: ignore[arg-type]  # None is allowed

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns new certificates, or None to keep the old ones. gRPC calls it before each handshake, in a thread."""
        with self._lock:
            try:
                try:
                    state = self._state()
                except SettingsError as error:
                    state = [str(error)]
                if state == self._seen:  # logs each change once, not at every handshake
                    return None
                self._seen = state
                changed = self._read()
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

    def _read(self) -> grpc.ServerCertificateConfiguration:
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
        return grpc.ssl_server_certificate_configuration([(key, cert)], roots)


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
