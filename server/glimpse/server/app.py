"""The server process, from top to bottom: load, serve, warm up, wait for a signal, drain, close.

A Classify passes these parts, in this order:

    TelemetryInterceptor    starts the call's record                            telemetry/interceptor.py
    AuthInterceptor         finds the caller, checks scope and requests/s       auth/interceptor.py
    TolerantParsing         reads the message within limits                     api/unparsable.py
    @unary                  sheds load, limits rates and memory, maps errors    api/handlers.py
    ClassificationService   checks the request, finds its collections           api/classification_service.py
    Classifier              embeds, searches, decides                           classification/classifier.py
    embed_all               decodes and batches inputs for the encoder          inference/embedder.py
    predict                 scores the labels and decides                       ../fewshot/predict.py
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

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
from glimpse.server.api.review_service import ReviewService
from glimpse.server.api.server_service import ServerService
from glimpse.server.api.unparsable import TolerantParsing
from glimpse.server.auth.interceptor import AuthInterceptor, open_interceptor
from glimpse.server.auth.listener import bind, check_http, server_credentials, warn_if_unprotected
from glimpse.server.monitoring.debug_dump import dump_on_sigusr1
from glimpse.server.monitoring.metrics_http import serve_metrics
from glimpse.server.runtime import Runtime, open_runtime
from glimpse.server.scheduling.grpc_options import server_options
from glimpse.server.scheduling.queue_probe import PROBE, QueueProbe, SharedQueueServer
from glimpse.server.settings import Settings, SettingsError
from glimpse.server.telemetry import log_format
from glimpse.server.telemetry.interceptor import TelemetryInterceptor
from glimpse.server.telemetry.stage_timer import export_traces

if TYPE_CHECKING:
    from glimpse.server.http.listener import HttpListener

logger = logging.getLogger(__name__)

# The time for open streams to end once the server stops. A stream that watches the server's health would never end.
_STREAM_END_SECONDS = 0.5


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Prints `listening on ADDRESS [and URL]` once every backbone is warm.

    Raises:
        DeviceLost: A GPU answers every run with an error. The server has drained; only a new process can use the GPU.
        SettingsError: A setting is wrong.
        BundleError: A backbone cannot be loaded.
        DataFolderInUse: Another server uses the data folder.
        LedgerError: The ledger cannot be opened.
        OSError: The address is unavailable.
    """
    log_format.configure(settings)
    memory_allocator.tune()
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    credentials = server_credentials(settings)
    if settings.http:
        # Before the ledger is opened, so that a wrong setting costs nothing.
        check_http(settings, settings.http)
    for address in filter(None, (settings.listen, settings.http)):
        warn_if_unprotected(settings, address)
    async with (
        export_traces(os.environ),
        open_runtime(settings) as runtime,
        open_interceptor(settings, runtime.catalog.read_keys, runtime.catalog.follower.keys_changed) as auth,
    ):
        with serve_metrics(settings, runtime):
            await _serve_runtime(settings, runtime, auth, credentials)


async def _serve_runtime(
    settings: Settings, runtime: Runtime, auth: AuthInterceptor, credentials: grpc.ServerCredentials | None
) -> None:
    telemetry = TelemetryInterceptor((*SERVICES, health.SERVICE_NAME, *REFLECTIONS), runtime.calls, ignored=(PROBE,))
    # The first interceptor is the outermost: telemetry also records the calls that the others refuse.
    interceptors = (telemetry, auth, TolerantParsing(runtime.inbound, runtime.inflight))
    server = grpc.aio.server(interceptors=interceptors, options=server_options(settings))
    health_service = Health()
    servicers = _make_servicers(runtime)
    _add_services(SharedQueueServer(server), servicers, health_service)
    if settings.reflection:
        add_reflection(SharedQueueServer(server), runtime, (*SERVICES, health.SERVICE_NAME))
    address = bind(server, settings.listen, credentials)
    async with (
        QueueProbe(runtime.load_shedder).attach(server),
        _http_listener(runtime, auth, lambda calls: _add_services(calls, servicers, health_service)) as http,
    ):
        await server.start()
        stop_requested = _stop_on_signal()
        dump_on_sigusr1(runtime)
        await _warm_up(runtime)
        await health_service.set(health_pb2.HealthCheckResponse.SERVING)
        runtime.backbones.watch.on_loss(stop_requested.set)
        print(f"listening on {address}" + (f" and {http.url}" if http else ""), flush=True)
        await stop_requested.wait()
        logger.info("draining for at most %g s", settings.drain_seconds)
        await health_service.set(health_pb2.HealthCheckResponse.NOT_SERVING)
        await _drain(runtime, server, http, settings.drain_seconds)
        if error := runtime.backbones.watch.error:
            # Its traceback keeps the sessions alive: closing them on a lost device may end the process by a signal.
            raise error


def _make_servicers(runtime: Runtime) -> tuple[Any, ...]:
    return (
        EmbeddingService(runtime),
        CollectionService(runtime),
        ClassificationService(runtime),
        ReviewService(runtime),
        ServerService(runtime),
    )


def _add_services(server: Any, servicers: tuple[Any, ...], health_service: Health) -> None:
    add_services(server, *servicers)
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)


@asynccontextmanager
async def _http_listener(
    runtime: Runtime, auth: AuthInterceptor, add: Callable[[Any], None]
) -> AsyncIterator["HttpListener | None"]:
    """Listens for HTTP while the context is open, if the settings say so. `add` adds the services to its calls.

    Raises:
        SettingsError: The extra `http` is not installed, or a setting is wrong.
        OSError: The address is unavailable.
    """
    address = runtime.settings.http
    if not address:
        yield None
        return
    try:
        # Imported only if the settings use HTTP.
        from glimpse.server.http.calls import HttpCalls
        from glimpse.server.http.listener import open_http
    except ImportError as error:
        message = f"http is set, but {error.name} is not installed: pip install 'glimpse-fewshot[server,http]'"
        raise SettingsError(message) from error
    # The same interceptors as gRPC's, in the same order. Those that keep handlers must not share them with gRPC.
    telemetry = TelemetryInterceptor((*SERVICES, health.SERVICE_NAME), runtime.calls)
    calls = HttpCalls((telemetry, auth, TolerantParsing(runtime.inbound, runtime.inflight)))
    add(calls)
    async with open_http(runtime, address, calls) as listener:
        yield listener


async def _warm_up(runtime: Runtime) -> None:
    for backbone in runtime.backbones:
        await backbone.warm_up()
    memory_allocator.settle()
    runtime.inflight.ready = True
    runtime.snapshots.start(runtime.catalog, runtime.catalog.sync_to_head)


async def _drain(runtime: Runtime, server: grpc.aio.Server, http: "HttpListener | None", seconds: float) -> None:
    """Finishes the calls in flight, stops the listeners, and writes the last snapshots, in at most `seconds`."""
    deadline = time.monotonic() + seconds
    await runtime.inflight.stop(seconds)
    await asyncio.gather(server.stop(_STREAM_END_SECONDS), *([http.stop(_STREAM_END_SECONDS)] if http else ()))
    await runtime.snapshots.finish(deadline)


def _stop_on_signal() -> asyncio.Event:
    """Returns an event that the first SIGTERM or SIGINT sets. A second signal ends the process at once."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    signalled = False  # the event is also set when a device is lost

    def stop() -> None:
        nonlocal signalled
        if signalled:
            sys.exit(1)
        signalled = True
        stop_requested.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stop_requested
