"""JWT (RFC 7519) of one issuer, for one audience, signed with a key of a pair.

The claim `scope` (a text with spaces, or a list) says what its subject may: `glimpse:classify`, or
`glimpse:enroll:birds-*` for some collections alone. Others are none of ours.
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

# Of pairs of keys alone: with HMAC, whoever has a public key could sign with it as if it were a secret. Which of them a
# key is for is the key's to say, not the token's.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# How much two clocks may differ.
_LEEWAY_SECONDS = 30
# Subjects whose use of their limits is remembered, and tokens that were verified.
_REMEMBERED = 10_000
_OURS = "glimpse:"
# What a token may say that is remembered with it: characters of its subject, and scopes.
_LONGEST_SUBJECT, _MOST_GRANTS = 256, 100
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was good, and the key that it was verified with."""

    key_id: str | None
    key: PyJWK
    caller: Caller


class Tokens:
    """Verifies tokens."""

    @classmethod
    def of(cls, settings: Settings, limits: Limits) -> Self:
        """Those that the settings name. Raises SettingsError."""
        keys = settings.jwt_keys
        if not settings.jwt_issuer or not keys:
            raise SettingsError("tokens need both jwt_issuer and jwt_keys, its JWKS as a file or a URL")
        signing_keys = SigningKeys.of(keys, insecure=settings.insecure)
        return cls(settings.jwt_issuer, settings.jwt_audience, signing_keys, limits)

    def __init__(self, issuer: str, audience: str, keys: SigningKeys, limits: Limits) -> None:
        """`limits`: each subject's."""
        self._issuer, self._audience, self._keys, self._limits = issuer, audience, keys, limits
        self._meters: OrderedDict[str, RateLimiter] = OrderedDict()
        # A signature takes as long to verify as a Classify: half a millisecond.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def follow(self) -> None:
        """Learns of keys that the issuer publishes or takes back."""
        await self._keys.follow()

    async def find(self, token: str) -> Caller:
        """Whose token it is, or was: see Caller.recheck. Raises RequestError."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        try:
            key_id = known.key_id if known else jwt.get_unverified_header(token).get("kid")
            key = await self._keys.find(key_id)
            if known is None or known.key is not key:  # new, or the keys were read anew
                known = _Verified(key_id, key, self._caller(self._claims(token, key)))
        except jwt.PyJWTError as error:
            # Its message may repeat a claim.
            raise unknown(f"the token is not good ({type(error).__name__})") from error
        _remember(self._verified, digest, known)
        return known.caller

    def _caller(self, claims: dict[str, Any]) -> Caller:
        subject = _subject(claims["sub"])
        meter = self._meters.get(subject) or RateLimiter(self._limits)
        _remember(self._meters, subject, meter)
        grants = tuple(islice(_grants(claims.get("scope")), _MOST_GRANTS + 1))
        if len(grants) > _MOST_GRANTS:
            raise unknown(f"the token has more than {_MOST_GRANTS} scopes of glimpse; use patterns such as `birds-*`")
        return Caller(f"jwt:{subject}", grants, meter, partial(_check, _moment(claims["exp"])))

    def _claims(self, token: str, key: PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            leeway=_LEEWAY_SECONDS,
            # That it has expired is for Caller.recheck, so that the refusal is told of its subject.
            options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": False},
        )
        return claims


def _remember(among: OrderedDict[K, T], name: K, what: T) -> None:
    """Keeps it as what was used last, and lets go of what was not used for longest."""
    among[name] = what
    among.move_to_end(name)
    if len(among) > _REMEMBERED:
        among.popitem(last=False)


def _subject(claim: str) -> str:
    """Raises RequestError where it cannot name a caller: it is stored with every change and stands in the log."""
    if len(claim) > _LONGEST_SUBJECT or not claim.isprintable():
        raise unknown(f"the token's `sub` is not of at most {_LONGEST_SUBJECT} printable characters")
    return claim


def _moment(claim: object) -> int:
    """Raises PyJWTError where that is none: NaN would be a token that never expires."""
    try:
        return int(claim)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError) as error:
        raise jwt.DecodeError("exp is no number") from error


def _check(expire: float) -> None:
    if time.time() > expire + _LEEWAY_SECONDS:
        raise expired("the token has expired")


def _grants(claim: object) -> Iterator[Grant]:
    """What a claim lets its subject do; what is not of our form lets it do nothing."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    for word in words:
        if not isinstance(word, str) or not word.startswith(_OURS):
            continue
        name, _, pattern = word.removeprefix(_OURS).partition(":")
        scope = Scope.named(name)
        if scope and (word.count(":") == 1 or PATTERN.fullmatch(pattern)):
            yield Grant(scope, pattern or EVERY)
