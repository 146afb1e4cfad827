"""Parses the address of a server. These forms are valid:

HOST  HOST:PORT  [IPV6]:PORT                a name or an IP address; the default port is 50051
dns:///HOST:PORT                            a name; calls use its addresses in turn
ipv4:ADDRESS:PORT,ADDRESS:PORT  ipv6:…      several addresses, used in turn
unix:PATH  unix:///PATH  unix-abstract:NAME a socket of this machine
xds:///NAME  vsock:CID:PORT                 passed to gRPC unchanged
"""

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

DEFAULT_PORT = 50051
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_SOCKETS = ("unix", "unix-abstract")
_LONGEST_PATH = 107  # Bytes; the limit of the operating system.
_SHOWN = 200  # Characters of an address in an error message.
# A number alone is refused: it is probably a port without a host, and gRPC would read it as an IP address.
_HOST = re.compile(r"(?:\[(?P<v6>[^\[\]\s]+)\]|(?P<name>(?![0-9]+(?::|$))[^\s:/@?#,\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
#: Variables from which gRPC reads a proxy. The last applies to addresses, after names are resolved.
_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "GRPC_ADDRESS_HTTP_PROXY")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server.

    Attributes:
        target: The address in the form of gRPC, with every port.
        local: Whether only this machine can answer, independent of any name server.
        hosts: The names and IP addresses without ports. Empty for sockets, and for schemes that gRPC resolves itself.
    """

    target: str
    local: bool
    hosts: Sequence[str] = ()

    @classmethod
    def of(cls, address: str | None) -> Self:
        """Parses an address. The default is GLIMPSE_SERVER, or else 127.0.0.1:50051.

        Raises:
            ValueError: If the address is malformed.
        """
        text = (address or os.environ.get("GLIMPSE_SERVER") or "").strip() or DEFAULT_ADDRESS
        scheme, rest = _split(text)
        if scheme in _SOCKETS:
            return cls(_socket(text, scheme, rest), local=True)
        if scheme in ("xds", "vsock"):
            return cls(text, local=False)
        if scheme in ("ipv4", "ipv6"):
            ends = [_endpoint(part, text) for part in rest.split(",")]
            target = f"{scheme}:" + ",".join(f"{bracketed(host)}:{port}" for host, port in ends)
            return cls(target, all(is_loopback(host) for host, _ in ends), [host for host, _ in ends])
        # The name server in `dns://SERVER/HOST` may return any address, even for `localhost`.
        server, name = re.fullmatch(r"(//[^/]*/)?(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        host, port = _endpoint(name, text)
        prefix = f"{scheme}:{server or ''}" if scheme else ""
        target = f"{prefix}{bracketed(host)}:{port}"
        return cls(target, is_loopback(host, localhost=(server or "///") == "///"), [host])

    def may_use_proxy(self) -> bool:
        """Returns whether calls may use a proxy of the environment. They never do if every host is this machine."""
        if self.local:
            return False
        if not any(os.environ.get(name) for name in _PROXY_VARIABLES):
            return True
        return not (self.hosts and all(map(_resolves_to_loopback, self.hosts)))


def is_loopback(host: str, *, localhost: bool = True) -> bool:
    """Returns whether a host is a loopback address or `localhost`. Other names are not resolved, as they may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return localhost and host.lower() == "localhost"


def bracketed(host: str) -> str:
    """Returns a host in the form that can precede a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _split(text: str) -> tuple[str, str]:
    """Returns the scheme, empty if there is none, and the rest. Raises ValueError for a scheme like https."""
    match = _SCHEME.fullmatch(text)
    scheme, rest = (match[1].lower(), match[2]) if match else ("", text)
    if scheme in (*_SOCKETS, "xds", "vsock", "ipv4", "ipv6", "dns"):
        return scheme, rest
    if not rest.startswith("//"):
        return "", text
    place = re.split(r"[/?#]", rest[2:])[0].rpartition("@")[2] or DEFAULT_ADDRESS
    encrypted = scheme in ("https", "grpcs")
    _refuse(text, f"write {place}" + (", and use TLS (tls=True, --tls)" if encrypted else f", without {scheme}://"))


def _socket(text: str, scheme: str, path: str) -> str:
    if not path.strip("/") or (path.startswith("//") and not path.startswith("///")):
        _refuse(text, f"write {scheme}:PATH, such as unix:/run/glimpse.sock")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        _refuse(text, f"the path of a socket has at most {_LONGEST_PATH} bytes")
    return text


def _endpoint(text: str, whole: str) -> tuple[str, int]:
    """Returns the host and port of HOST:PORT. Raises ValueError if the address is malformed."""
    if text.startswith(("/", ".")):
        _refuse(whole, f"for a socket write unix:{text}")
    if text.count(":") > 1 and _is_ip(text):
        return text, DEFAULT_PORT
    match = _HOST.fullmatch(text)
    if match and (match["name"] or _is_ip(match["v6"])) and 0 < int(match["port"] or DEFAULT_PORT) < 1 << 16:
        return match["name"] or match["v6"], int(match["port"] or DEFAULT_PORT)
    place = re.split(r"[/?#]", text)[0]
    if place != text and _HOST.fullmatch(place):
        _refuse(whole, f"write {place}, with nothing after it")
    _refuse(whole, f"write HOST:PORT, such as {DEFAULT_ADDRESS}, or unix:PATH")


def _is_ip(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _resolves_to_loopback(host: str) -> bool:
    """Returns whether a name resolves to loopback addresses only."""
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(is_loopback(str(place[0]).partition("%")[0]) for *_, place in addresses)


def _refuse(text: str, advice: str) -> NoReturn:
    # A URL may contain a password.
    shown = re.sub(r"//.*@", "//…@", text)[:_SHOWN]
    raise ValueError(f"{shown!r} is not the address of a server: {advice}")
