"""An issuer's public keys (JWKS, RFC 7517), from a file or an HTTPS URL.

The keys are read again at intervals, and when a token names an unknown key. An issuer rotates its keys: it publishes a
new key beside the old one before it signs with it, and removes the old key once its tokens have expired. If reading
fails, the known keys stay in use, and a token with a known key never waits for a read.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWTError

from glimpse.server.auth.errors import no_signing_keys, unknown
from glimpse.server.auth.listener import is_loopback
from glimpse.server.auth.rate_limits import Clock
from glimpse.server.settings import SettingsError

logger = logging.getLogger(__name__)
# Longest age of the keys, and shortest pause between two reads, for files and for URLs.
_FILE_SECONDS, _FILE_PAUSE = 5.0, 1.0
_URL_SECONDS, _URL_PAUSE = 300.0, 5.0
_FETCH_TIMEOUT = 10.0
# Pause between two equal warnings: every token with an unknown key causes a read.
_WARNING_SECONDS = 60.0
# Characters of a valid URL. The error of a fetch with other characters would repeat the URL.
_PLAIN = re.compile(r"[!-~]+")


class SigningKeys:
    """The keys of an issuer, by id."""

    def __init__(
        self, read: Callable[[], Sequence[PyJWK]], seconds: float, pause: float, clock: Clock = time.monotonic
    ) -> None:
        """Starts without keys.

        Args:
            read: Reads the keys. It blocks, so it is called in a thread.
            seconds: Longest age of the keys.
            pause: Shortest time between two reads, in seconds.
            clock: Returns seconds.
        """
        self._read, self._seconds, self._pause, self._clock = read, seconds, pause, clock
        self._keys: dict[str | None, PyJWK] = {}
        self._lock = asyncio.Lock()
        self._read_at = self._tried_at = -float("inf")
        self._warned, self._warned_at = "", -float("inf")

    @classmethod
    def of(cls, source: str, *, insecure: bool) -> "SigningKeys":
        """Opens the keys of a file or a URL.

        Args:
            source: Path of a file, or a URL.
            insecure: Whether http:// is allowed for another machine.

        Raises:
            SettingsError: The file contains no key. A URL may be unavailable until later.
        """
        if url := _url(source):
            if url.scheme == "http" and not insecure and not is_loopback(f"{url.hostname}:"):
                raise SettingsError(
                    f"jwt_keys from {url.hostname} over http:// can be forged in transit; use https:// or a file"
                )
            client = PyJWKClient(source, cache_jwk_set=False, timeout=_FETCH_TIMEOUT)
            return cls(lambda: client.get_jwk_set().keys, _URL_SECONDS, _URL_PAUSE)
        try:
            _read_file(source)
        except OSError as error:
            raise SettingsError(f"jwt_keys {source}: {error.strerror}") from error
        except Exception as error:  # an invalid JWKS raises many kinds of errors
            raise SettingsError(f"jwt_keys {source} contains no JWKS with a key: {error}") from error
        return cls(lambda: _read_file(source), _FILE_SECONDS, _FILE_PAUSE)

    async def find(self, key_id: str | None) -> PyJWK:
        """Returns the key with an id; for None, the only key. Raises RequestError."""
        if (key := self._known(key_id)) is None:
            await self._renew(lambda: self._known(key_id) is not None)
            key = self._known(key_id)
        if key is None:
            if not self._keys:
                raise no_signing_keys(self._pause)
            raise unknown("the token is signed with a key that its issuer does not publish")
        return key

    async def follow(self) -> None:
        """Reads the keys again whenever they are too old, until it is cancelled."""
        while True:
            await self._renew(lambda: self._clock() - self._read_at < self._seconds)
            await asyncio.sleep(max(self._pause, self._read_at + self._seconds - self._clock()))

    def _known(self, key_id: str | None) -> PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _renew(self, done: Callable[[], bool]) -> None:
        """Reads the keys, unless the last try is recent or another task has read them by now."""
        async with self._lock:
            now = self._clock()
            if done() or now - self._tried_at < self._pause:
                return
            self._tried_at = now
            try:
                keys = await asyncio.to_thread(self._read)
            except Exception as error:  # retried after every kind of error
                self._warn(error)
                self._tried_at = self._clock()  # tasks that waited for this read must not wait for another one
                return
            self._keys = {key.key_id: key for key in keys if key.public_key_use in ("sig", None)}
            self._read_at = now
            self._warned = ""

    def _warn(self, error: Exception) -> None:
        warning = f"{type(error).__name__}: {error}"
        if warning == self._warned and self._clock() - self._warned_at < _WARNING_SECONDS:
            return
        self._warned, self._warned_at = warning, self._clock()
        expected = isinstance(error, OSError | ValueError | PyJWTError)
        logger.warning("cannot read the issuer's signing keys: %s", error, exc_info=not expected)


def _url(source: str) -> SplitResult | None:
    """Returns the parsed URL, or None for a file. A SettingsError never repeats the URL, which may hold a password."""
    if "://" not in source and not source.lower().startswith(("http:", "https:")):  # even if a slash is missing
        return None
    try:
        url = urlsplit(source)
        good = url.scheme in ("https", "http") and _PLAIN.fullmatch(source) and url.hostname and url.port != 0
    except ValueError:  # its message repeats a part of the URL
        good = False
    if not good:
        raise SettingsError("jwt_keys is not a valid URL; use https://HOST/PATH or a file") from None
    if "@" in url.netloc:
        raise SettingsError(
            "jwt_keys has a user name in its URL, which is not supported; JWKS are public, so remove it"
        )
    return url


def _read_file(source: str) -> Sequence[PyJWK]:
    return PyJWKSet.from_json(Path(source).read_text("utf-8")).keys
