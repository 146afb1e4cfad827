"""A server's address: from what people write to the target that gRPC takes.

HOST  HOST:PORT  [IPV6]:PORT                a name or an address; without a port, 50051
dns:///HOST:PORT                            a name; calls go to its addresses in turn
ipv4:ADDRESS:PORT,ADDRESS:PORT  ipv6:…      several addresses, in turn
unix:PATH  unix:///PATH  unix-abstract:NAME a socket of this machine
xds:///NAME  vsock:CID:PORT                 as gRPC has them
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
_LONGEST_PATH = 107  # bytes, as the operating system allows for a socket's path
_SHOWN = 200  # characters of an address in an error
# A lone number is a port without its host, and gRPC would take it for an IP address.
_HOST = re.compile(r"(?:\[(?P<v6>[^\[\]\s]+)\]|(?P<name>(?![0-9]+(?::|$))[^\s:/@?#,\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
#: Variables from which gRPC takes a proxy, the last for addresses alone, once names are resolved.
_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "GRPC_ADDRESS_HTTP_PROXY")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        target: The address as gRPC takes it, with every port.
        local: Whether only this machine can answer, whatever a name server says.
        hosts: The names and IP addresses in it, without ports. Empty for sockets and for what gRPC looks up by itself.
    """

    target: str
    local: bool
    hosts: Sequence[str] = ()

    @classmethod
    def of(cls, address: str | None) -> Self:
        """Reads the address given, else GLIMPSE_SERVER, else 127.0.0.1:50051. Raises ValueError."""
        text = (address or os.environ.get("GLIMPSE_SERVER") or "").strip() or DEFAULT_ADDRESS
        scheme, rest = _split(text)
        if scheme in _SOCKETS:
            return cls(_socket(text, scheme, rest), local=True)
        if scheme in ("xds", "vsock"):
            return cls(text, local=False)
        if scheme in ("ipv4", "ipv6"):
            ends = [_endpoint(one, text) for one in rest.split(",")]
            target = f"{scheme}:" + ",".join(f"{bracketed(host)}:{port}" for host, port in ends)
            return cls(target, all(is_loopback(host) for host, _ in ends), [host for host, _ in ends])
        # The name server in `dns://SERVER/HOST` may answer anything, for `localhost` too.
        server, name = re.fullmatch(r"(//[^/]*/)?(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        host, port = _endpoint(name, text)
        prefix = f"{scheme}:{server or ''}" if scheme else ""
        target = f"{prefix}{bracketed(host)}:{port}"
        return cls(target, is_loopback(host, localhost=(server or "///") == "///"), [host])

    def may_use_proxy(self) -> bool:
        """Whether calls may go through a proxy of the environment: never where every host is this machine."""
        if self.local:
            return False
        if not any(os.environ.get(name) for name in _PROXY_VARIABLES):
            return True
        return not (self.hosts and all(map(_resolves_to_loopback, self.hosts)))


def is_loopback(host: str, *, localhost: bool = True) -> bool:
    """Whether a host is a loopback address or `localhost`. Other names are not looked up: they may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return localhost and host.lower() == "localhost"


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def _split(text: str) -> tuple[str, str]:
    """The scheme, empty where there is none, and the rest. Raises ValueError for a scheme that is no server's."""
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
        _refuse(text, f"a socket's path has at most {_LONGEST_PATH} bytes")
    return text


def _endpoint(text: str, whole: str) -> tuple[str, int]:
    """The host and port of HOST:PORT. Raises ValueError that says what is wrong with the whole address."""
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
    """Whether a name resolves to loopback addresses alone."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(is_loopback(str(place[0]).partition("%")[0]) for *_, place in found)


def _refuse(text: str, help_text: str) -> NoReturn:
    # A URL may hold a password.
    shown = re.sub(r"//.*@", "//…@", text)[:_SHOWN]
    raise ValueError(f"{shown!r} is not a server's address: {help_text}")
