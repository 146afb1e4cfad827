"""An HTTP listener in this process, with a servicer that a test chooses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc

from glimpse.server.api.registry import SERVICES
from glimpse.server.api.unparsable import TolerantParsing
from glimpse.server.http.calls import HttpCalls
from glimpse.server.http.listener import open_http
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.settings import Settings
from glimpse.server.telemetry.interceptor import TelemetryInterceptor
from glimpse.server.telemetry.latency_stats import CallFigures
from glimpse.v1 import embedding_service_pb2 as pb
from support.http_calls import request

Answer = tuple[int, dict[str, str], bytes]


class InProcess:
    """A listener that answers GetBackbone, and the limiter that counts what they hold."""

    def __init__(self, url: str, inflight: InflightLimiter) -> None:
        self.url, self.inflight = url, inflight

    async def request(self, *arguments: Any, **keywords: Any) -> Answer:
        """Makes a request in a thread; see support.http_calls.request."""
        return await asyncio.to_thread(request, self.url, *arguments, **keywords)


@asynccontextmanager
async def in_process(servicer: Any, **settings: Any) -> AsyncIterator[InProcess]:
    """Listens while the context is open. Telemetry and limits are real; callers are not checked.

    Args:
        servicer: An object with the method GetBackbone.
        **settings: Settings of the server.
    """
    chosen = Settings(**settings)
    inflight = InflightLimiter(chosen.max_held_bytes)
    servicer.runtime = SimpleNamespace(
        settings=chosen, inflight=inflight, inbound=Inbound(chosen), load_shedder=SimpleNamespace(enter=lambda: None)
    )
    servicer.settings = chosen
    telemetry = TelemetryInterceptor(SERVICES, CallFigures())
    calls = HttpCalls((telemetry, TolerantParsing(servicer.runtime.inbound, inflight)))
    parse, serialize = pb.GetBackboneRequest.FromString, pb.GetBackboneResponse.SerializeToString
    handlers = {
        "GetBackbone": grpc.unary_unary_rpc_method_handler(servicer.GetBackbone, parse, serialize),
        "StreamEmbed": grpc.stream_stream_rpc_method_handler(lambda *_: None),
    }
    calls.add_registered_method_handlers("glimpse.v1.EmbeddingService", handlers)
    async with open_http(servicer.runtime, "127.0.0.1:0", calls) as listener:
        yield InProcess(listener.url, inflight)
