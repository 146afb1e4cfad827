"""Lets calls in, or refuses them, before a byte of their messages is read."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc

from glimpse.ledger import KeyRecord
from glimpse.server.auth.api_keys import PREFIX, Keyring
from glimpse.server.auth.caller import Caller, enter
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
_NOBODY = Caller()


class AuthInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs alone
    """Knows who calls, and what he may do. What is presented is checked even where nothing has to be."""

    def __init__(self, keyring: Keyring, tokens: "Tokens | None", *, required: bool) -> None:
        """`tokens`: None where none are taken."""
        self._keyring, self._tokens, self._required = keyring, tokens, required

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See grpc.aio.ServerInterceptor: the context that is entered here is the handler's."""
        method: str = handler_call_details.method
        if not method.startswith(OPEN):
            try:
                await self._admit(method, handler_call_details.invocation_metadata or ())
            except RequestError as refusal:
                return _refusing(refusal)
            except Exception as error:  # a bug; what it says may hold what was presented
                logger.error("%s could not be let in: %s", method, type(error).__name__)
                return _refusing(INTERNAL)
        return await continuation(handler_call_details)

    async def _admit(self, method: str, metadata: _Metadata) -> None:
        """Enters whoever calls; that he still may, his requests a second and scope are checked. Raises RequestError."""
        presented, need = _presented(metadata), need_of(method)
        if presented is not None:
            caller = await self._find(presented)
        elif self._required:
            raise missing()
        else:
            caller = _NOBODY
        # First, so that what is refused is told of him; and counted, so that it costs him too.
        enter(caller := replace(caller, scope=need.scope, admitted=True))
        caller.recheck()
        if caller.meter:
            caller.meter.spend(requests=1)
        caller.check_need(need)

    async def _find(self, presented: str) -> Caller:
        """Whose it is, whether it has ended or not. Raises RequestError."""
        if presented.startswith(PREFIX):
            return self._keyring.find(presented)
        if self._tokens is None:
            raise unknown("that is no key of this server, and it takes no tokens")
        return await self._tokens.find(presented)


@asynccontextmanager
async def open_interceptor(
    settings: Settings, read_keys: Callable[[], Awaitable[Iterable[KeyRecord]]], keys_changed: asyncio.Event
) -> AsyncIterator[AuthInterceptor]:
    """The gate that the settings ask for, whose keys follow the ledger's and the issuer's.

    Raises SettingsError and LedgerError.
    """
    limits = Limits(settings.key_requests_per_second, settings.key_inputs_per_second, settings.key_bytes_per_second)
    keyring = Keyring(read_keys, limits)
    await keyring.reload()
    tokens = None
    if settings.jwt_issuer or settings.jwt_keys:
        # Not loaded where nobody asks for them.
        from glimpse.server.auth.jwt_tokens import Tokens

        tokens = Tokens.of(settings, limits)
    following = [asyncio.create_task(keyring.follow(keys_changed))]
    if tokens:
        following.append(asyncio.create_task(tokens.follow()))
    try:
        yield AuthInterceptor(keyring, tokens, required=requires_auth(settings))
    finally:
        for task in following:
            task.cancel()


def _presented(metadata: _Metadata) -> str | None:
    """The key or token of a call; None: it has none. Raises RequestError."""
    for name, value in metadata:
        if name == "x-api-key":
            return str(value).strip()
        if name == "authorization":
            scheme, _, credential = str(value).strip().partition(" ")
            if scheme.lower() != "bearer":
                raise unknown("authorization is of another scheme than Bearer")
            return credential.strip()
    return None


def _refusing(refusal: RequestError) -> Any:
    """A handler that refuses, whatever kind the call is of, and reads nothing."""
    status = call_status(refusal)

    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
        await context.abort(status.code, status.details, status.trailing_metadata)
        yield b""  # never: abort raises

    return grpc.stream_stream_rpc_method_handler(refuse)
