"""The credentials of a client and the certificates of its server: from arguments, or else from the environment.

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
    "--tls, --tls-ca), or set insecure if another layer encrypts the connection"
)


@dataclass(frozen=True, slots=True)
class Security:
    """The security of a channel. Its repr never shows the key.

    Attributes:
        credentials: TLS credentials. None: plain text.
        metadata: Metadata of every call, with the key.
        may_use_proxy: Whether a proxy of the environment may carry the connection. With TLS it may, because it sees
            only the server's name. In plain text, or to this machine, it may not.
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
        """Returns the security for the arguments of a client, which BaseCore describes.

        Raises:
            ValueError: If arguments contradict each other, or a key would be sent in plain text.
            OSError: If a certificate file cannot be read.
        """
        if credentials is None:
            credentials = _credentials(tls, tls_ca, tls_cert, tls_key)
        key = (_variable("API_KEY") or "") if api_key is None else api_key
        if key and (not key.isascii() or not key.isprintable() or " " in key):
            raise ValueError("an API key contains only letters, digits, `_`, `-` and `.`")
        if key:
            metadata = (*metadata, ("authorization", f"Bearer {key}"))
        plain = credentials is None and not address.local
        if plain and any(name in _KEY_HEADERS for name, _ in metadata) and not _flag(insecure, "CLIENT_INSECURE"):
            raise ValueError(_NOT_SENT.format(address=address.target))
        return cls(credentials, metadata, credentials is not None and address.may_use_proxy())


def _credentials(
    tls: bool | None, ca: AnyPath | None, cert: AnyPath | None, key: AnyPath | None
) -> grpc.ChannelCredentials | None:
    """Returns TLS credentials if TLS is requested or a certificate file is given."""
    if tls is not False:  # With tls=False, the environment is ignored too.
        ca, cert, key = ca or _variable("TLS_CA"), cert or _variable("CLIENT_CERT"), key or _variable("CLIENT_KEY")
    if bool(cert) != bool(key):
        raise ValueError("a client certificate needs its private key: set both tls_cert and tls_key")
    if not (ca or cert or _flag(tls, "TLS")):
        return None
    roots, private, chain = (Path(file).read_bytes() if file else None for file in (ca, key, cert))
    return grpc.ssl_channel_credentials(roots, private, chain)


def _flag(argument: bool | None, name: str) -> bool:
    """Returns the argument, or else the variable, which is false if it is empty or not set."""
    if argument is not None:
        return argument
    value = (_variable(name) or _NO[0]).lower()
    if value not in (*_YES, *_NO):
        raise ValueError(f"GLIMPSE_{name} must be 1 or 0, not {value!r}")
    return value in _YES


def _variable(name: str) -> str | None:
    """Returns the value of a variable, or None if it is not set or blank."""
    return os.environ.get(f"GLIMPSE_{name}", "").strip() or None
