"""An issuer's public keys (RFC 7517), from a file or an HTTPS URL: kept, and read anew now and then or for a new one.

An issuer rotates its keys by publishing a new one beside the old before it signs with it, and removes the old one when
what it signed has expired. Keys read before are used on while they cannot be read anew, and nobody waits for that who
has one of them.
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
# How old keys may be before they are read anew; and how soon again they are, at most, for one that is not there.
_FILE_SECONDS, _FILE_PAUSE = 5.0, 1.0
_URL_SECONDS, _URL_PAUSE = 300.0, 5.0
_FETCH_TIMEOUT = 10.0
# Between two warnings of the same: whoever brings a token has the keys looked for.
_WARNING_SECONDS = 60.0
# What a URL is written in; of anything else a fetch would complain with the URL in its words.
_PLAIN = re.compile(r"[!-~]+")


class SigningKeys:
    """The keys of an issuer, by their ids."""

    def __init__(
        self, read: Callable[[], Sequence[PyJWK]], seconds: float, pause: float, clock: Clock = time.monotonic
    ) -> None:
        """`read` blocks, and is called in a thread."""
        self._read, self._seconds, self._pause, self._clock = read, seconds, pause, clock
        self._keys: dict[str | None, PyJWK] = {}
        self._lock = asyncio.Lock()
        self._read_at = self._tried_at = -float("inf")
        self._warned, self._warned_at = "", -float("inf")

    @classmethod
    def of(cls, source: str, *, insecure: bool) -> "SigningKeys":
        """Those of a file or a URL; `insecure`: of another machine in plain text too.

        Raises SettingsError where the file holds none; an issuer may come later.
        """
        if url := _url(source):
            if url.scheme == "http" and not insecure and not is_loopback(f"{url.hostname}:"):
                raise SettingsError(
                    f"jwt_keys of {url.hostname} in plain text can be forged on their way; give https://, or a file"
                )
            client = PyJWKClient(source, cache_jwk_set=False, timeout=_FETCH_TIMEOUT)
            return cls(lambda: client.get_jwk_set().keys, _URL_SECONDS, _URL_PAUSE)
        try:
            _of_file(source)
        except OSError as error:
            raise SettingsError(f"jwt_keys {source}: {error.strerror}") from error
        except Exception as error:  # what is no JWKS breaks its reader in many ways
            raise SettingsError(f"jwt_keys {source} holds no JWKS with a key: {error}") from error
        return cls(lambda: _of_file(source), _FILE_SECONDS, _FILE_PAUSE)

    async def find(self, key_id: str | None) -> PyJWK:
        """The key of an id; None: the only key there is. Raises RequestError."""
        if (key := self._known(key_id)) is None:
            await self._renew(lambda: self._known(key_id) is not None)
            key = self._known(key_id)
        if key is None:
            if not self._keys:
                raise no_signing_keys(self._pause)
            raise unknown("the token is signed with a key that its issuer does not publish")
        return key

    async def follow(self) -> None:
        """Reads them whenever they are old, in the background, whether anybody asks or not."""
        while True:
            await self._renew(lambda: self._clock() - self._read_at < self._seconds)
            await asyncio.sleep(max(self._pause, self._read_at + self._seconds - self._clock()))

    def _known(self, key_id: str | None) -> PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _renew(self, done: Callable[[], bool]) -> None:
        """Reads the keys, unless that was just tried, or done by whoever held the lock before."""
        async with self._lock:
            now = self._clock()
            if done() or now - self._tried_at < self._pause:
                return
            self._tried_at = now
            try:
                keys = await asyncio.to_thread(self._read)
            except Exception as error:  # whatever it is, they are tried again
                self._warn(error)
                self._tried_at = self._clock()  # those who waited meanwhile need not wait as long again
                return
            self._keys = {key.key_id: key for key in keys if key.public_key_use in ("sig", None)}
            self._read_at = now
            self._warned = ""

    def _warn(self, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"
        if told == self._warned and self._clock() - self._warned_at < _WARNING_SECONDS:
            return
        self._warned, self._warned_at = told, self._clock()
        expected = isinstance(error, OSError | ValueError | PyJWTError)
        logger.warning("the issuer's keys cannot be read: %s", error, exc_info=not expected)


def _url(source: str) -> SplitResult | None:
    """None: it is a file. Raises SettingsError, which has no part of the URL: one may be a password."""
    if "://" not in source and not source.lower().startswith(("http:", "https:")):  # one slash forgotten
        return None
    try:
        url = urlsplit(source)
        good = url.scheme in ("https", "http") and _PLAIN.fullmatch(source) and url.hostname and url.port != 0
    except ValueError:  # its message repeats what is wrong
        good = False
    if not good:
        raise SettingsError("jwt_keys is no URL that can be read; give https://HOST/PATH, or a file") from None
    if "@" in url.netloc:
        raise SettingsError("jwt_keys has a user in its URL, who would not be sent; keys are public: leave him out")
    return url


def _of_file(source: str) -> Sequence[PyJWK]:
    return PyJWKSet.from_json(Path(source).read_text("utf-8")).keys
