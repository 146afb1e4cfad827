"""Calls over HTTP on the server's event loop: they pass the interceptors and handlers that gRPC's calls pass."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import grpc

from glimpse.server.api.dispatcher import Dispatcher
from glimpse.server.errors import INTERNAL, Code, RequestError, abort, as_status, deadline_exceeded
from glimpse.server.http.context import HttpContext

logger = logging.getLogger(__name__)
#: The call with a list that does the work of each stream.
LIST_CALLS = {"StreamEmbed": "Embed", "StreamClassify": "Classify", "Watch": "Check"}


class HttpCalls(Dispatcher):
    """Answers unary calls. A stream passes the interceptors too, and is then refused."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the handlers of a service; see Dispatcher."""
        unary = {
            name: _refuse_stream(name) if handler.request_streaming or handler.response_streaming else handler
            for name, handler in handlers.items()
        }
        super().add_registered_method_handlers(service, unary)

    async def answer(self, method: str, context: HttpContext) -> bytes | None:
        """Answers a call.

        Args:
            method: `/SERVICE/METHOD`.
            context: The call's context; it has the status if the call is refused.

        Returns:
            The bytes of the response message; None if the call is refused.
        """
        try:
            async with asyncio.timeout(context.time_remaining()) as limit:
                response: bytes | None = await self.answer_one(method, None, context)
                context.remember_caller()
                if response is None:
                    await abort(context, _unknown(method))
                return response
        except grpc.aio.AbortError:
            return None
        except TimeoutError as error:
            _set_status(context, deadline_exceeded() if limit.expired() else _failed(method, error))
        except Exception as error:
            _set_status(context, _failed(method, error))
        return None


def _refuse_stream(name: str) -> Any:
    """Returns a handler that refuses a stream and names the call with a list."""
    message = f"{name} is a stream, which HTTP/JSON does not carry; use {LIST_CALLS[name]}, or gRPC"
    refusal = RequestError(Code.UNIMPLEMENTED, "STREAM_UNSUPPORTED", message)

    async def refuse(_: object, context: Any) -> NoReturn:
        await abort(context, refusal)

    # Without a deserializer, the interceptor that receives messages leaves the body unread.
    return grpc.unary_unary_rpc_method_handler(refuse)


def _unknown(method: str) -> RequestError:
    return RequestError(Code.UNIMPLEMENTED, "METHOD_NOT_FOUND", f"the server has no method {method}")


def _failed(method: str, error: Exception) -> RequestError:
    logger.error("%s over HTTP failed", method, exc_info=error)
    return INTERNAL


def _set_status(context: HttpContext, refusal: RequestError) -> None:
    """Gives an interrupted call a status; the telemetry interceptor has recorded it already."""
    kept = tuple(context.response_headers())
    context.set_trailing_metadata((*kept, ("grpc-status-details-bin", as_status(refusal).SerializeToString())))
