"""A replica: rooms of its own on the ledger that all share, behind Serve's proxy."""

import itertools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from glimpse.ledger import DataFolderInUse, FolderLock
from glimpse.server.api.classification_service import ClassificationService
from glimpse.server.api.collection_service import CollectionService
from glimpse.server.api.embedding_service import EmbeddingService
from glimpse.server.api.health import known_service
from glimpse.server.api.registry import SERVICES, add_services
from glimpse.server.api.server_service import ServerService
from glimpse.server.auth.interceptor import AuthInterceptor, open_interceptor
from glimpse.server.auth.listener import warn_where_open
from glimpse.server.errors import RequestError, abort
from glimpse.server.monitoring.metrics_http import exposed
from glimpse.server.ray.calls import Calls, Context
from glimpse.server.ray.options import Options, settings_of
from glimpse.server.runtime import Runtime, open_runtime
from glimpse.server.settings import Settings
from glimpse.server.telemetry import log_format
from glimpse.server.telemetry.interceptor import TelemetryInterceptor
from glimpse.server.telemetry.stage_timer import traced

logger = logging.getLogger(__name__)


class Replica:
    """What Serve starts, asks for its health, and stops. It has a method for each rpc: see below."""

    # Python calls __del__ of what was never opened, too.
    _opened: AsyncExitStack | None = None

    async def __init__(self, options: Options) -> None:  # type: ignore[misc]  # Serve awaits it
        """With the settings of this node's variables. Raises SettingsError, BundleError and LedgerError."""
        self._patience, settings = options.ledger_patience_seconds, settings_of(options)
        log_format.configure(settings)
        warn_where_open(settings, "0.0.0.0:")  # Serve's proxy is everywhere
        async with AsyncExitStack() as stack:
            if options.max_replicas > 1:
                settings = _apart(settings, stack)
            await stack.enter_async_context(traced(os.environ))
            self.runtime = await stack.enter_async_context(open_runtime(settings))
            stack.enter_context(exposed(settings, self.runtime))
            gate = await stack.enter_async_context(
                open_interceptor(settings, self.runtime.catalog.read_keys, self.runtime.catalog.follower.keys_changed)
            )
            for backbone in self.runtime.backbones:
                await backbone.warm_up()
            self.runtime.inflight.ready = True
            self.runtime.snapshots.start(self.runtime.catalog, self.runtime.catalog.sync_to_head)
            self._opened = stack.pop_all()
        self.calls = _answering(self.runtime, gate)
        self._reached = time.monotonic()

    async def check_health(self) -> None:
        """Raises where the ledger has been out of reach for long. (Until backbones are warm, Serve does not ask.)

        For a moment it is not worth a start: without its ledger a replica still classifies, and cannot start at all.
        """
        try:
            await self.runtime.catalog.follower.refresh()
            self._reached = time.monotonic()
        except Exception:
            if time.monotonic() - self._reached >= self._patience:
                raise
            logger.warning("the ledger is out of reach", exc_info=True)

    def __del__(self) -> Coroutine[Any, Any, None] | None:
        """Serve awaits this once no call is left, and before the process ends; Python calls it again."""
        stack, self._opened = self._opened, None
        return self._close(stack) if stack else None

    async def _close(self, stack: AsyncExitStack) -> None:
        ends = time.monotonic() + self.runtime.settings.drain_seconds
        await self.runtime.inflight.stop(self.runtime.settings.drain_seconds)
        await self.runtime.snapshots.finish(ends)
        await stack.aclose()


class _Health:
    """grpc.health.v1, for the client's wait_ready: a replica that is asked serves."""

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> object:  # noqa: N802
        """Of the server, or one of its services."""
        try:
            known_service(request)
        except RequestError as refusal:
            await abort(context, refusal)
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def List(self, _: object, context: Context) -> None:  # noqa: N802
        """Not told."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "ask with Check")

    # A stream would be of the one replica that it came to.
    Watch = List


def _apart(settings: Settings, stack: AsyncExitStack) -> Settings:
    """What a replica has for its own: the first folder that no other on this machine holds, and a port for metrics."""
    for number in itertools.count():
        folder = settings.data / "replicas" / str(number)
        try:
            stack.enter_context(FolderLock(folder))
        except DataFolderInUse:
            continue
        break
    own: dict[str, Any] = {"data": folder / "data", "indexes": settings.indexes or settings.data / "indexes"}
    host, _, port = (settings.metrics_listen or "").rpartition(":")
    if port.isdecimal() and int(port):  # 0 is a free one in any case
        own["metrics_listen"] = f"{host}:{int(port) + number}"
    return settings.model_copy(update=own)


def _answering(runtime: Runtime, gate: AuthInterceptor) -> Calls:
    # As of `glimpse serve`: the first is the outermost.
    calls = Calls([TelemetryInterceptor((*SERVICES, health.SERVICE_NAME), runtime.calls), gate])
    services = (
        EmbeddingService(runtime),
        CollectionService(runtime),
        ClassificationService(runtime),
        ServerService(runtime),
    )
    add_services(calls, *services)
    health_pb2_grpc.add_HealthServicer_to_server(_Health(), calls)
    return calls


def _method(path: str, *, streams: bool) -> Callable[..., Any]:
    """What Serve looks for under an rpc's name. It passes the context by the name `grpc_context`."""

    async def answer(self: Replica, request: Any, grpc_context: Any) -> Any:
        return await self.calls.one(path, request, grpc_context)

    async def answers(self: Replica, request: Any, grpc_context: Any) -> AsyncIterator[Any]:
        async for response in self.calls.many(path, request, grpc_context):
            yield response

    return answers if streams else answer


for _service in (*SERVICES, health.SERVICE_NAME):
    for _rpc in descriptor_pool.Default().FindServiceByName(_service).methods:
        # Serve tells calls apart by the last part of their name alone.
        assert not hasattr(Replica, _rpc.name), f"two rpcs are called {_rpc.name}"  # noqa: S101
        setattr(Replica, _rpc.name, _method(f"/{_service}/{_rpc.name}", streams=_rpc.server_streaming))
