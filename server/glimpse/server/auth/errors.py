"""Errors for callers without valid credentials. No message repeats the credentials."""

from glimpse.server.errors import Code, RequestError

_HINT = "send a key or token as `authorization: Bearer …`; `glimpse keys create` makes keys"


def missing() -> RequestError:
    """Returns the error for a call without credentials."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_REQUIRED", f"authentication required; {_HINT}")


def unknown(problem: str) -> RequestError:
    """Returns the error for credentials that were never valid."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_INVALID", f"{problem}; {_HINT}")


def expired(problem: str) -> RequestError:
    """Returns the error for credentials that have expired."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_EXPIRED", f"{problem}; {_HINT}")


def revoked(problem: str) -> RequestError:
    """Returns the error for credentials that were revoked."""
    return RequestError(Code.UNAUTHENTICATED, "CREDENTIALS_REVOKED", f"{problem}; {_HINT}")


def no_signing_keys(retry_delay: float) -> RequestError:
    """Returns the error for a token that cannot be verified now; `retry_delay` is in seconds."""
    message = "the issuer's signing keys are unavailable, so tokens cannot be verified; see the server's log"
    return RequestError(Code.UNAVAILABLE, "SIGNING_KEYS_UNAVAILABLE", message, retry_delay=retry_delay)
