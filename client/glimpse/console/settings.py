"""The settings: where the console listens, and which server it calls."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from glimpse.console.security.hosts import is_loopback


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a console.

    Attributes:
        server: Address of the Glimpse server, as `AsyncClient` takes it.
        host: Name or address to listen on.
        port: Port to listen on. 0: a free port.
        tls_cert: Certificate chain of the console (PEM). None: plain text.
        tls_key: Private key of the certificate (PEM).
        idle_seconds: A session without any action for this time is forgotten, and its key with it.
        public_url: Origin under which browsers reach the console, for example `https://console.example.org`, if a proxy
            or a name stands in front of it. Empty: the address it listens on.
    """

    server: str
    host: str = "127.0.0.1"
    port: int = 8080
    tls_cert: Path | None = None
    tls_key: Path | None = None
    public_url: str = ""
    idle_seconds: float = 8 * 3600.0

    @classmethod
    def of(cls, *, insecure: bool = False, **values: object) -> Self:
        """Checks settings and returns them.

        Args:
            insecure: Whether to allow plain text on an address that other machines reach.
            values: The attributes.

        Raises:
            ValueError: If the settings contradict each other, or would send keys in plain text to other machines.
        """
        settings = cls(**values)  # type: ignore[arg-type]
        if (settings.tls_cert is None) != (settings.tls_key is None):
            raise ValueError("TLS needs both a certificate and its private key")
        _check_public_url(settings.public_url)
        if not settings.local and settings.scheme == "http" and not insecure:
            raise ValueError(
                f"other machines can reach {settings.public_url or settings.host}, and keys would be sent there in "
                "plain text; give a certificate and its key, or allow plain text"
            )
        return settings

    @property
    def url(self) -> str:
        """The address for browsers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"{self.scheme}://{host}:{self.port}"

    @property
    def local(self) -> bool:
        """True if only this machine reaches the console."""
        return is_loopback(self.host) and not self.public_url

    @property
    def scheme(self) -> str:
        """The scheme that browsers use: `https` or `http`."""
        if self.public_url:
            return urlsplit(self.public_url).scheme
        return "https" if self.tls_cert else "http"


def _check_public_url(url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/")):
        raise ValueError(f"{url} is not an origin; write a scheme and a name, for example https://console.example.org")
