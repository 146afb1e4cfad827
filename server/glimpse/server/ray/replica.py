"""A replica on Ray Serve: a server's runtime on the shared ledger, behind Serve's proxy."""

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
from glimpse.server.api.review_service import ReviewService
from glimpse.server.api.server_service import ServerService
from glimpse.server.auth.interceptor import AuthInterceptor, open_interceptor
from glimpse.server.auth.listener import warn_if_unprotected
from glimpse.server.errors import RequestError, abort
from glimpse.server.monitoring.metrics_http import serve_metrics
from glimpse.server.ray.calls import Calls, Context
from glimpse.server.ray.options import Options, settings_of
from glimpse.server.runtime import Runtime, open_runtime
from glimpse.server.settings import Settings
from glimpse.server.telemetry import log_format
from glimpse.server.telemetry.interceptor import TelemetryInterceptor
from glimpse.server.telemetry.stage_timer import export_traces

logger = logging.getLogger(__name__)


class Replica:
    """The class that Serve starts, checks and stops. It has a method for each rpc, added at the end of this module."""

    # Python calls __del__ even if __init__ failed.
    _opened: AsyncExitStack | None = None

    async def __init__(self, options: Options) -> None:  # type: ignore[misc]  # Serve awaits it
        """Opens the runtime with the settings of this node's environment.

        Raises:
            SettingsError: A setting is wrong.
            BundleError: A backbone cannot be loaded.
            LedgerError: The ledger cannot be opened.
        """
        self._patience, settings = options.ledger_patience_seconds, settings_of(options)
        log_format.configure(settings)
        warn_if_unprotected(settings, "0.0.0.0:")  # Serve's proxy listens on every address
        async with AsyncExitStack() as stack:
            if options.max_replicas > 1:
                settings = _own_settings(settings, stack)
            await stack.enter_async_context(export_traces(os.environ))
            self.runtime = await stack.enter_async_context(open_runtime(settings))
            stack.enter_context(serve_metrics(settings, self.runtime))
            auth = await stack.enter_async_context(
                open_interceptor(settings, self.runtime.catalog.read_keys, self.runtime.catalog.follower.keys_changed)
            )
            for backbone in self.runtime.backbones:
                await backbone.warm_up()
            self.runtime.inflight.ready = True
            self.runtime.snapshots.start(self.runtime.catalog, self.runtime.catalog.sync_to_head)
            self._opened = stack.pop_all()
        self.calls = _answer_calls(self.runtime, auth)
        self._reached_at = time.monotonic()

    async def check_health(self) -> None:
        """Raises if a device is lost, or if the ledger has been unavailable for too long: Serve replaces the replica.

        Serve calls it once the backbones are warm. A short failure of the ledger does not justify a restart: without
        it a replica still classifies, but cannot start.
        """
        if error := self.runtime.backbones.watch.error:
            raise error
        try:
            await self.runtime.catalog.follower.refresh()
            self._reached_at = time.monotonic()
        except Exception:
            if time.monotonic() - self._reached_at >= self._patience:
                raise
            logger.warning("the ledger is unavailable", exc_info=True)

    def __del__(self) -> Coroutine[Any, Any, None] | None:
        """Closes the runtime. Serve awaits it after the last call, before the process ends; Python calls it again."""
        stack, self._opened = self._opened, None
        return self._close(stack) if stack else None

    async def _close(self, stack: AsyncExitStack) -> None:
        deadline = time.monotonic() + self.runtime.settings.drain_seconds
        await self.runtime.inflight.stop(self.runtime.settings.drain_seconds)
        await self.runtime.snapshots.finish(deadline)
        await stack.aclose()


class _Health:
    """grpc.health.v1, for the client's wait_ready: a replica that can answer is SERVING."""

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> object:  # noqa: N802
        """Returns the health of the server or of one of its services."""
        try:
            known_service(request)
        except RequestError as refusal:
            await abort(context, refusal)
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def List(self, _: object, context: Context) -> None:  # noqa: N802
        """Refuses: only Check is implemented."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented; use Check")

    # A stream would watch only the one replica that it reaches.
    Watch = List


def _own_settings(settings: Settings, stack: AsyncExitStack) -> Settings:
    """Returns settings with a replica's own folder, the first that is free on this machine, and metrics port."""
    for number in itertools.count():
        folder = settings.data / "replicas" / str(number)
        try:
            stack.enter_context(FolderLock(folder))
        except DataFolderInUse:
            continue
        break
    own: dict[str, Any] = {"data": folder / "data", "indexes": settings.indexes or settings.data / "indexes"}
    host, _, port = (settings.metrics_listen or "").rpartition(":")
    if port.isdecimal() and int(port):  # port 0 picks a free one anyway
        own["metrics_listen"] = f"{host}:{int(port) + number}"
    return settings.model_copy(update=own)


def _answer_calls(runtime: Runtime, auth: AuthInterceptor) -> Calls:
    # In the order of `glimpse serve`; the first is the outermost.
    calls = Calls([TelemetryInterceptor((*SERVICES, health.SERVICE_NAME), runtime.calls), auth])
    services = (
        EmbeddingService(runtime),
        CollectionService(runtime),
        ClassificationService(runtime),
        ReviewService(runtime),
        ServerService(runtime),
    )
    add_services(calls, *services)
    health_pb2_grpc.add_HealthServicer_to_server(_Health(), calls)
    return calls


def _method(path: str, *, streams: bool) -> Callable[..., Any]:
    """Returns the method that Serve finds by an rpc's name. Serve passes the context as `grpc_context`."""

    async def respond(self: Replica, request: Any, grpc_context: Any) -> Any:
        return await self.calls.one(path, request, grpc_context)

    async def respond_many(self: Replica, request: Any, grpc_context: Any) -> AsyncIterator[Any]:
        async for response in self.calls.many(path, request, grpc_context):
            yield response

    return respond_many if streams else respond


for _service in (*SERVICES, health.SERVICE_NAME):
    for _rpc in descriptor_pool.Default().FindServiceByName(_service).methods:
        # Serve distinguishes calls only by the last part of their name.
        assert not hasattr(Replica, _rpc.name), f"two rpcs have the name {_rpc.name}"  # noqa: S101
        setattr(Replica, _rpc.name, _method(f"/{_service}/{_rpc.name}", streams=_rpc.server_streaming))
