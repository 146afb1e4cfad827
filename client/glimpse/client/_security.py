"""What a client identifies itself with, and how it knows its server: arguments, else variables of the environment.

api_key   GLIMPSE_API_KEY        tls_ca    GLIMPSE_TLS_CA
tls       GLIMPSE_TLS            tls_cert  GLIMPSE_CLIENT_CERT
insecure  GLIMPSE_CLIENT_INSECURE         tls_key   GLIMPSE_CLIENT_KEY
"""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from glimpse.client._channel import Metadata

AnyPath = str | os.PathLike[str]

_NOT_SENT = (
    "an API key is not sent in plain text to {address}, where others could read it; use TLS (tls=True, tls_ca=…; "
    "--tls, --tls-ca), or say insecure where something else encrypts"
)


@dataclass(frozen=True, slots=True)
class Security:
    """TLS credentials (None: plain text), and the metadata that says who calls, which no repr shows."""

    credentials: grpc.ChannelCredentials | None
    metadata: Metadata

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'TLS' if self.credentials else 'plain text'})"

    @classmethod
    def of(
        cls,
        address: str,
        credentials: grpc.ChannelCredentials | None,
        api_key: str | None,
        tls: bool | None,
        tls_ca: AnyPath | None,
        tls_cert: AnyPath | None,
        tls_key: AnyPath | None,
        insecure: bool | None,
    ) -> Self:
        """As SyncCore has them. Raises ValueError, and OSError where a file cannot be read."""
        if credentials is None:
            credentials = _credentials(tls, tls_ca, tls_cert, tls_key)
        key = (_variable("API_KEY") or "").strip() if api_key is None else api_key
        if not key:
            return cls(credentials, ())
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("an API key has letters, digits, `_`, `-` and `.` alone, on one line")
        if credentials is None and not is_local(address) and not _said(insecure, "CLIENT_INSECURE"):
            raise ValueError(_NOT_SENT.format(address=address))
        return cls(credentials, (("authorization", f"Bearer {key}"),))


def is_local(address: str) -> bool:
    """Whether an address, as gRPC takes them, is this machine's own."""
    scheme, _, rest = address.rpartition("://")
    if scheme.startswith("unix") or address.startswith("unix:"):
        return True
    target = rest.rpartition("/")[2]
    if target.startswith(("ipv4:", "ipv6:")):
        return all(_is_loopback(one) for one in target[5:].split(","))
    return _is_loopback(target.removeprefix("dns:"))


def _is_loopback(target: str) -> bool:
    """Whether HOST or HOST:PORT is this machine, by the look of it: a name may mean another one tomorrow."""
    bare = target if target.count(":") > 1 and not target.startswith("[") else target.rpartition(":")[0] or target
    host = bare.partition("]")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    return (_variable(name) or "").lower() in ("1", "true", "yes", "on") if given is None else given


def _variable(name: str) -> str | None:
    return os.environ.get(f"GLIMPSE_{name}") or None
