"""What a client identifies itself with, and how it knows its server: arguments, else variables of the environment.

api_key   GLIMPSE_API_KEY        tls_ca    GLIMPSE_TLS_CA
tls       GLIMPSE_TLS            tls_cert  GLIMPSE_CLIENT_CERT
insecure  GLIMPSE_CLIENT_INSECURE         tls_key   GLIMPSE_CLIENT_KEY
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from glimpse.client.transport._address import Address
from glimpse.client.transport._channel import Metadata

AnyPath = str | os.PathLike[str]

_KEY_HEADERS = ("authorization", "x-api-key")
_YES, _NO = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")
_NOT_SENT = (
    "an API key is not sent in plain text to {address}, where others could read it; use TLS (tls=True, tls_ca=…; "
    "--tls, --tls-ca), or say insecure where something else encrypts"
)


@dataclass(frozen=True, slots=True)
class Security:
    """TLS credentials (None: plain text), and the metadata of every call, with the key, which no repr shows.

    `may_use_proxy`: whether a proxy that the environment names may carry the connection. It may with TLS, where it sees
    no more than the server's name; never in plain text, nor to this machine.
    """

    credentials: grpc.ChannelCredentials | None
    metadata: Metadata
    may_use_proxy: bool

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'TLS' if self.credentials else 'plain text'})"

    @classmethod
    def of(
        cls,
        address: Address,
        credentials: grpc.ChannelCredentials | None,
        api_key: str | None,
        tls: bool | None,
        tls_ca: AnyPath | None,
        tls_cert: AnyPath | None,
        tls_key: AnyPath | None,
        insecure: bool | None,
        metadata: Metadata = (),
    ) -> Self:
        """As SyncCore has them. Raises ValueError, and OSError where a file cannot be read."""
        if credentials is None:
            credentials = _credentials(tls, tls_ca, tls_cert, tls_key)
        key = (_variable("API_KEY") or "") if api_key is None else api_key
        if key and (not key.isascii() or not key.isprintable() or " " in key):
            raise ValueError("an API key has letters, digits, `_`, `-` and `.` alone, on one line")
        if key:
            metadata = (*metadata, ("authorization", f"Bearer {key}"))
        plain = credentials is None and not address.local
        if plain and any(name in _KEY_HEADERS for name, _ in metadata) and not _said(insecure, "CLIENT_INSECURE"):
            raise ValueError(_NOT_SENT.format(address=address.target))
        return cls(credentials, metadata, credentials is not None and address.may_use_proxy())


def _credentials(
    tls: bool | None, ca: AnyPath | None, cert: AnyPath | None, key: AnyPath | None
) -> grpc.ChannelCredentials | None:
    """For TLS where it is asked for, or a file of it is named."""
    if tls is not False:  # then variables do not count either
        ca, cert, key = ca or _variable("TLS_CA"), cert or _variable("CLIENT_CERT"), key or _variable("CLIENT_KEY")
    if bool(cert) != bool(key):
        raise ValueError("a client's certificate and its key go together: tls_cert and tls_key")
    if not (ca or cert or _said(tls, "TLS")):
        return None
    roots, private, chain = (Path(file).read_bytes() if file else None for file in (ca, key, cert))
    return grpc.ssl_channel_credentials(roots, private, chain)


def _said(given: bool | None, name: str) -> bool:
    """What an argument says, else a variable; one that is empty or not set says no. Raises ValueError."""
    if given is not None:
        return given
    value = (_variable(name) or _NO[0]).lower()
    if value not in (*_YES, *_NO):
        raise ValueError(f"GLIMPSE_{name} is neither 1 nor 0: {value!r}")
    return value in _YES


def _variable(name: str) -> str | None:
    """A variable's value; None where it is not set or blank."""
    return os.environ.get(f"GLIMPSE_{name}", "").strip() or None
