"""The auth interceptor: admits or refuses calls before it reads any byte of their messages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc

from glimpse.ledger import KeyRecord
from glimpse.server.auth.api_keys import PREFIX, Keyring
from glimpse.server.auth.caller import Caller, set_caller
from glimpse.server.auth.errors import missing, unknown
from glimpse.server.auth.listener import requires_auth
from glimpse.server.auth.rate_limits import Limits
from glimpse.server.auth.scopes import OPEN, need_of
from glimpse.server.errors import INTERNAL, RequestError, call_status
from glimpse.server.settings import Settings

if TYPE_CHECKING:
    from glimpse.server.auth.jwt_tokens import Tokens

logger = logging.getLogger(__name__)
_Metadata = Sequence[tuple[str, str | bytes]]
_ANONYMOUS = Caller()


class AuthInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic only in its stubs
    """Identifies callers and checks their scopes. Credentials are checked even if none are required."""

    def __init__(self, keyring: Keyring, tokens: "Tokens | None", *, required: bool) -> None:
        """Sets where callers are found.

        Args:
            keyring: The API keys.
            tokens: Verifies tokens; None if the server does not accept them.
            required: Whether calls without credentials are refused.
        """
        self._keyring, self._tokens, self._required = keyring, tokens, required

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the call's handler, or one that refuses. The caller that is set here is set for the handler too."""
        method: str = handler_call_details.method
        if not method.startswith(OPEN):
            try:
                await self._admit(method, handler_call_details.invocation_metadata or ())
            except RequestError as refusal:
                return _refusing(refusal)
            except Exception as error:  # a bug; its message may contain the credentials
                logger.error("authentication of a call of %s failed: %s", method, type(error).__name__)
                return _refusing(INTERNAL)
        return await continuation(handler_call_details)

    async def _admit(self, method: str, metadata: _Metadata) -> None:
        """Sets the caller; checks its credentials, its requests per second and its scope. Raises RequestError."""
        presented, need = _presented(metadata), need_of(method)
        if presented is not None:
            caller = await self._find(presented)
        elif self._required:
            raise missing()
        else:
            caller = _ANONYMOUS
        # Set before the checks, so that a refusal is logged with the caller and counts against its limits.
        set_caller(caller := replace(caller, scope=need.scope, admitted=True))
        caller.recheck()
        if caller.rate_limiter:
            caller.rate_limiter.spend(requests=1)
        caller.check_need(need)

    async def _find(self, presented: str) -> Caller:
        """Returns the caller of a key or token, which may have ended. Raises RequestError."""
        if presented.startswith(PREFIX):
            return self._keyring.find(presented)
        if self._tokens is None:
            raise unknown("unknown API key; this server does not accept tokens")
        return await self._tokens.find(presented)


@asynccontextmanager
async def open_interceptor(
    settings: Settings, read_keys: Callable[[], Awaitable[Iterable[KeyRecord]]], keys_changed: asyncio.Event
) -> AsyncIterator[AuthInterceptor]:
    """Opens the interceptor for the settings, and keeps its keys up to date while it is open.

    Args:
        settings: The server's settings.
        read_keys: Returns every API key of the ledger.
        keys_changed: Set whenever an API key was created or revoked.

    Raises:
        SettingsError: A setting of the tokens is wrong.
        LedgerError: The keys cannot be read.
    """
    limits = Limits(settings.key_requests_per_second, settings.key_inputs_per_second, settings.key_bytes_per_second)
    keyring = Keyring(read_keys, limits)
    await keyring.reload()
    tokens = None
    if settings.jwt_issuer or settings.jwt_keys:
        # Imported only if the settings use tokens.
        from glimpse.server.auth.jwt_tokens import Tokens

        tokens = Tokens.of(settings, limits)
    followers = [asyncio.create_task(keyring.follow(keys_changed))]
    if tokens:
        followers.append(asyncio.create_task(tokens.follow()))
    try:
        yield AuthInterceptor(keyring, tokens, required=requires_auth(settings))
    finally:
        for task in followers:
            task.cancel()


def _presented(metadata: _Metadata) -> str | None:
    """Returns the key or token of a call, or None. Raises RequestError."""
    for name, value in metadata:
        if name == "x-api-key":
            return str(value).strip()
        if name == "authorization":
            scheme, _, credential = str(value).strip().partition(" ")
            if scheme.lower() != "bearer":
                raise unknown("unsupported authorization scheme; use Bearer")
            return credential.strip()
    return None


def _refusing(refusal: RequestError) -> Any:
    """Returns a handler that refuses calls of every kind and reads nothing."""
    status = call_status(refusal)

    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
        await context.abort(status.code, status.details, status.trailing_metadata)
        yield b""  # unreachable, because abort raises

    return grpc.stream_stream_rpc_method_handler(refuse)
