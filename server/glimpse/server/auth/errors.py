"""What callers who are not known are told: never anything of what they presented."""

from glimpse.server.errors import Code, RequestError

_HOW = "send a key or a token: `authorization: Bearer …`; keys are made by `glimpse keys create`"


def missing() -> RequestError:
    """Nothing was presented."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_REQUIRED", f"this server wants to know who calls; {_HOW}")


def unknown(why: str) -> RequestError:
    """What was presented is not good, and never was."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_INVALID", f"{why}; {_HOW}")


def expired(why: str) -> RequestError:
    """What was presented was good once."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_EXPIRED", f"{why}; {_HOW}")


def revoked(why: str) -> RequestError:
    """What was presented was taken back."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_REVOKED", f"{why}; {_HOW}")


def no_signing_keys(retry_delay: float) -> RequestError:
    """Tokens cannot be verified now."""
    message = "the issuer's keys cannot be had, so no token can be verified; the server's log says why"
    return RequestError(Code.UNAVAILABLE, "SIGNING_KEYS_UNAVAILABLE", message, retry_delay=retry_delay)
