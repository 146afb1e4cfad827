"""JWT (RFC 7519) of one issuer for one audience, signed with an asymmetric key.

The claim `scope` (words separated by spaces, or a list) holds the permissions of the subject: `glimpse:classify`, or
`glimpse:enroll:birds-*` for some collections only. Scopes without the prefix `glimpse:` are ignored.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Self, TypeVar

import jwt
from jwt import PyJWK

from glimpse.server.auth.caller import Caller
from glimpse.server.auth.errors import expired, unknown
from glimpse.server.auth.jwks import SigningKeys
from glimpse.server.auth.rate_limits import Limits, RateLimiter
from glimpse.server.auth.scopes import EVERY, PATTERN, Grant, Scope
from glimpse.server.settings import Settings, SettingsError

# Asymmetric algorithms only: with HMAC, anyone could sign with the public key as the secret. The key decides on its
# algorithm, not the token.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# Allowed difference between two clocks.
_LEEWAY_SECONDS = 30
# Limit of remembered subjects (with their rate limits) and of remembered verified tokens.
_REMEMBERED = 10_000
_PREFIX = "glimpse:"
# Limits of what is remembered of a token: characters of its subject, and its scopes.
_MAX_SUBJECT, _MAX_GRANTS = 256, 100
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Verified:
    """A valid token, and the key that verified it."""

    key_id: str | None
    key: PyJWK
    caller: Caller


class Tokens:
    """Verifies tokens and finds their callers."""

    @classmethod
    def of(cls, settings: Settings, limits: Limits) -> Self:
        """Accepts the tokens that the settings name. Raises SettingsError."""
        keys = settings.jwt_keys
        if not settings.jwt_issuer or not keys:
            raise SettingsError("tokens need both jwt_issuer and jwt_keys (the issuer's JWKS, a file or a URL)")
        signing_keys = SigningKeys.of(keys, insecure=settings.insecure)
        return cls(settings.jwt_issuer, settings.jwt_audience, signing_keys, limits)

    def __init__(self, issuer: str, audience: str, keys: SigningKeys, limits: Limits) -> None:
        """`limits` are the rate limits of each subject."""
        self._issuer, self._audience, self._keys, self._limits = issuer, audience, keys, limits
        self._rate_limiters: OrderedDict[str, RateLimiter] = OrderedDict()
        # Verifying a signature takes as long as a Classify: half a millisecond.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def follow(self) -> None:
        """Follows the issuer's keys until it is cancelled."""
        await self._keys.follow()

    async def find(self, token: str) -> Caller:
        """Returns the caller of a token. The token may have expired: see Caller.recheck. Raises RequestError."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        try:
            key_id = known.key_id if known else jwt.get_unverified_header(token).get("kid")
            key = await self._keys.find(key_id)
            if known is None or known.key is not key:  # a new token, or the key was read again
                known = _Verified(key_id, key, self._caller(self._claims(token, key)))
        except jwt.PyJWTError as error:
            # The error's message may repeat a claim, so only its type is given.
            raise unknown(f"invalid token ({type(error).__name__})") from error
        _remember(self._verified, digest, known)
        return known.caller

    def _caller(self, claims: dict[str, Any]) -> Caller:
        subject = _subject(claims["sub"])
        rate_limiter = self._rate_limiters.get(subject) or RateLimiter(self._limits)
        _remember(self._rate_limiters, subject, rate_limiter)
        grants = tuple(islice(_grants(claims.get("scope")), _MAX_GRANTS + 1))
        if len(grants) > _MAX_GRANTS:
            raise unknown(
                f"the token has more than {_MAX_GRANTS} glimpse scopes, the limit; use patterns such as `birds-*`"
            )
        return Caller(f"jwt:{subject}", grants, rate_limiter, partial(_check, _expiry(claims["exp"])))

    def _claims(self, token: str, key: PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            leeway=_LEEWAY_SECONDS,
            # Caller.recheck checks the expiry, so that the refusal is logged with the subject.
            options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": False},
        )
        return claims


def _remember(cache: OrderedDict[K, T], key: K, value: T) -> None:
    """Stores a value as the most recently used one; drops the least recently used one if the cache is full."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)


def _subject(claim: str) -> str:
    """Returns the subject. Raises RequestError if it cannot name a caller in the ledger and in logs."""
    if len(claim) > _MAX_SUBJECT or not claim.isprintable():
        raise unknown(f"the token's `sub` must have at most {_MAX_SUBJECT} characters, all printable")
    return claim


def _expiry(claim: object) -> int:
    """Returns an expiry as seconds. Raises PyJWTError for other values: with NaN a token would never expire."""
    try:
        return int(claim)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError) as error:
        raise jwt.DecodeError("exp is not a number") from error


def _check(expire: float) -> None:
    if time.time() > expire + _LEEWAY_SECONDS:
        raise expired("the token has expired")


def _grants(claim: object) -> Iterator[Grant]:
    """Yields the grants of a `scope` claim. Words of another form grant nothing."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    for word in words:
        if not isinstance(word, str) or not word.startswith(_PREFIX):
            continue
        name, _, pattern = word.removeprefix(_PREFIX).partition(":")
        scope = Scope.named(name)
        if scope and (word.count(":") == 1 or PATTERN.fullmatch(pattern)):
            yield Grant(scope, pattern or EVERY)
