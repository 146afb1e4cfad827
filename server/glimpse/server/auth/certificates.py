"""The listener's certificates, in files that may change while it runs."""

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
    """A certificate with its key, and who signs those of clients, in files that are read again when they change."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: Sequence[object] = ()
        self._lock = threading.Lock()

    def credentials(self) -> grpc.ServerCredentials:
        """For a listener. Raises SettingsError where the files are not good."""
        self._seen = self._state()
        first = self._read()
        return grpc.dynamic_ssl_server_credentials(first, self._changed, bool(self._client_ca))  # type: ignore[arg-type]  # it takes None

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """For gRPC, which asks before each handshake, in its threads: what changed; None: nothing, or to no good."""
        with self._lock:
            try:
                try:
                    state = self._state()
                except SettingsError as error:
                    state = [str(error)]
                if state == self._seen:  # so that each change is logged once, not at every stranger's handshake
                    return None
                self._seen = state
                changed = self._read()
            except SettingsError as error:
                # Half of a new pair, perhaps: the other half changes the files again.
                logger.warning("the certificate stays as it was: %s", error)
                return None
        logger.info("certificate read anew from %s", self._cert)
        return changed

    def _state(self) -> Sequence[object]:
        files = [file for file in (self._cert, self._key, self._client_ca) if file]
        try:
            return [(found.st_mtime_ns, found.st_size, found.st_ino) for found in (file.stat() for file in files)]
        except OSError as error:
            raise SettingsError(f"{error.filename}: {error.strerror}") from error

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key = _bytes(self._cert), _bytes(self._key)
        roots = _bytes(self._client_ca) if self._client_ca else None
        certificate = _public_key(cert, self._cert)
        try:
            private = load_pem_private_key(key, None)
        except TypeError as error:
            raise SettingsError(f"{self._key} has a passphrase; give a key without one") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"{self._key} holds no private key in PEM") from error
        if private.public_key() != certificate:
            raise SettingsError(f"the key in {self._key} is not that of the certificate in {self._cert}")
        if roots is not None and self._client_ca:
            _public_key(roots, self._client_ca)
        return grpc.ssl_server_certificate_configuration([(key, cert)], roots)


def _public_key(certificates: bytes, file: Path) -> object:
    """Of the first certificate."""
    try:
        return load_pem_x509_certificates(certificates)[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{file} holds no certificate in PEM") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
