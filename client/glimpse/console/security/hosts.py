"""The Host and Origin headers that the console accepts.

A page of another site may send requests to a console on this machine, because the browser runs here. Two checks refuse
them. The *host* check defeats DNS rebinding: a site whose name suddenly resolves to 127.0.0.1 still sends its own name.
The *origin* check refuses requests and WebSockets that a page of another origin starts; a page of another port of this
machine is of another origin, though cookies are shared with it.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Returns whether a host is `localhost` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of one console.

    Attributes:
        listen: Name or address that the console listens on.
        scheme: The scheme that browsers use, `https` or `http`.
        public_url: The only origin, if a proxy or a name stands in front. Empty: none does.
    """

    listen: str
    scheme: str
    public_url: str = ""

    def allows_host(self, host: str) -> bool:
        """Returns whether a Host header names this console.

        The port may be any, because a forwarded port is another one. Addresses are accepted where the console is not on
        loopback: a site that rebinds its name sends a name.
        """
        if self.public_url:
            return host.lower() == urlsplit(self.public_url).netloc.lower()
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = (match["v6"] or match["name"]).lower()
        if name == self.listen.lower():
            return True
        return name in _LOOPBACK_NAMES if is_loopback(self.listen) else _is_address(name)

    def allows_origin(self, origin: str, host: str) -> bool:
        """Returns whether an Origin header is the origin of the page that a Host header names."""
        return origin.lower() == f"{self.scheme}://{host}".lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
