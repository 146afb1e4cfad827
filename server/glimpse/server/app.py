"""The server, from top to bottom: load, serve, warm up, wait for a signal, drain, close."""

import asyncio
import logging
import os
import signal
import sys
import time
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from glimpse.server import memory_allocator
from glimpse.server.api.classification_service import ClassificationService
from glimpse.server.api.collection_service import CollectionService
from glimpse.server.api.embedding_service import EmbeddingService
from glimpse.server.api.health import Health
from glimpse.server.api.reflection import REFLECTIONS, add_reflection
from glimpse.server.api.registry import SERVICES, add_services
from glimpse.server.api.server_service import ServerService
from glimpse.server.api.unparsable import TolerantParsing
from glimpse.server.auth.interceptor import AuthInterceptor, open_interceptor
from glimpse.server.auth.listener import bind, credentials_of, warn_where_open
from glimpse.server.monitoring.debug_dump import dump_on_sigusr1
from glimpse.server.monitoring.metrics_http import exposed
from glimpse.server.runtime import Runtime, open_runtime
from glimpse.server.scheduling.grpc_options import server_options
from glimpse.server.scheduling.load_shedder import PROBE, SharedQueueServer
from glimpse.server.settings import Settings
from glimpse.server.telemetry import log_format
from glimpse.server.telemetry.interceptor import TelemetryInterceptor
from glimpse.server.telemetry.stage_timer import traced

logger = logging.getLogger(__name__)

# For streams to hear that the server stops; one that watches its health would stay for ever.
_FAREWELL_SECONDS = 0.5


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Prints `listening on ADDRESS` when every backbone is warm.

    Raises BundleError, SettingsError, DataFolderInUse, or OSError where the address cannot be had.
    """
    log_format.configure(settings)
    memory_allocator.tune()
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    credentials = credentials_of(settings)
    warn_where_open(settings, settings.listen)
    async with (
        traced(os.environ),
        open_runtime(settings) as runtime,
        open_interceptor(settings, runtime.catalog.read_keys, runtime.catalog.follower.keys_changed) as gate,
    ):
        with exposed(settings, runtime):
            await _serve_runtime(settings, runtime, gate, credentials)


async def _serve_runtime(
    settings: Settings, runtime: Runtime, gate: AuthInterceptor, credentials: grpc.ServerCredentials | None
) -> None:
    # The first interceptor is the outermost: it sees what the others refuse.
    observer = TelemetryInterceptor((*SERVICES, health.SERVICE_NAME, *REFLECTIONS), runtime.calls, ignored=(PROBE,))
    server = grpc.aio.server(
        interceptors=(observer, gate, TolerantParsing(runtime.inbound, runtime.inflight)),
        options=server_options(settings),
    )
    queue: Any = SharedQueueServer(server)
    services = (
        EmbeddingService(runtime),
        CollectionService(runtime),
        ClassificationService(runtime),
        ServerService(runtime),
    )
    add_services(queue, *services)
    checked = Health()
    health_pb2_grpc.add_HealthServicer_to_server(checked, queue)
    if settings.reflection:
        add_reflection(queue, runtime, (*SERVICES, health.SERVICE_NAME))
    address = bind(server, settings.listen, credentials)
    async with runtime.load_shedder.watched(server):
        await _run(settings, runtime, server, checked, address)


async def _run(settings: Settings, runtime: Runtime, server: grpc.aio.Server, checked: Health, address: str) -> None:
    await server.start()
    stopped = _signalled()
    dump_on_sigusr1(runtime)
    for backbone in runtime.backbones:
        await backbone.warm_up()
    memory_allocator.settle()
    runtime.inflight.ready = True
    runtime.snapshots.start(runtime.catalog, runtime.catalog.sync_to_head)
    await checked.set(health_pb2.HealthCheckResponse.SERVING)
    print(f"listening on {address}", flush=True)
    await stopped.wait()
    logger.info("draining for at most %g s", settings.drain_seconds)
    await checked.set(health_pb2.HealthCheckResponse.NOT_SERVING)
    ends = time.monotonic() + settings.drain_seconds
    await runtime.inflight.stop(settings.drain_seconds)
    await server.stop(_FAREWELL_SECONDS)
    await runtime.snapshots.finish(ends)


def _signalled() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopped.is_set():
            sys.exit(1)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopped
