"""The server, from top to bottom: load, serve, warm up, wait for a signal, drain, close."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

import faiss
import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from threadpoolctl import threadpool_limits

from glimpse.fewshot import PINNABLE
from glimpse.ledger import FolderLock
from glimpse.server.backbones import Backbones
from glimpse.server.catalog import Catalog
from glimpse.server.classification_service import ClassificationService
from glimpse.server.collection_service import CollectionService
from glimpse.server.compacting import stop_compactions
from glimpse.server.context import Rooms
from glimpse.server.embedding_service import EmbeddingService
from glimpse.server.fitter import Fitter
from glimpse.server.heads import HEADS
from glimpse.server.health_check import ALIVE
from glimpse.server.indexes import Indexes
from glimpse.server.observing import logs
from glimpse.server.observing.exposition import exposed
from glimpse.server.observing.interceptor import Observer
from glimpse.server.observing.stages import traced
from glimpse.server.reflection import REFLECTIONS, add_reflection
from glimpse.server.server_service import ServerService
from glimpse.server.settings import Settings
from glimpse.server.snapshots import Snapshots
from glimpse.v1 import (
    classification_service_pb2,
    classification_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

logger = logging.getLogger(__name__)

_SERVICES = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (embedding_service_pb2, "EmbeddingService"),
        (collection_service_pb2, "CollectionService"),
        (classification_service_pb2, "ClassificationService"),
        (server_service_pb2, "ServerService"),
    )
)


# For streams to hear that the server stops; one that watches its health would stay for ever.
_FAREWELL_SECONDS = 0.5


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Prints `listening on ADDRESS` when every backbone is warm.

    Raises BundleError, DataFolderInUse, or OSError where the address cannot be had.
    """
    logs.configure(settings)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    # Threads are budgeted once: the encoder has the cores; two pools that spin on every core slow each other down.
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        async with traced(os.environ), _open_rooms(settings) as rooms:
            with exposed(settings.metrics_listen, rooms):
                await _serve_rooms(settings, rooms)


@asynccontextmanager
async def _open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    """Loads backbones and ledger; closes what was opened, in every outcome."""
    async with AsyncExitStack() as stack:
        decoders = stack.enter_context(ThreadPoolExecutor(settings.decode_threads, "decode"))
        # OpenMP keeps its thread count for each thread that asks: this one has to be told too.
        one_thread = (faiss.omp_set_num_threads, (1,))
        searchers = stack.enter_context(ThreadPoolExecutor(1, "search", *one_thread))
        backbones = Backbones.load(settings, decoders)
        for backbone in backbones:
            stack.push_async_callback(backbone.close)
        fitter = Fitter({HEADS[kind]: kind for kind in PINNABLE})
        stack.push_async_callback(fitter.close)
        indexes = Indexes(settings.indexes or settings.data / "indexes")
        stack.enter_context(FolderLock(settings.data))
        snapshots = Snapshots(
            settings.data / "snapshots", seconds=settings.snapshot_seconds, examples=settings.snapshot_examples
        )
        gc.disable()  # it would look through a million examples again and again while they come; until _settle_memory
        catalog = Catalog.open(settings.ledger_url, indexes, snapshots, fitter.touch)
        stack.push_async_callback(catalog.close)
        stack.push_async_callback(snapshots.close)
        rooms = Rooms(settings, backbones, catalog, fitter, searchers, indexes, snapshots)
        stack.push_async_callback(stop_compactions, rooms)
        yield rooms


async def _serve_rooms(settings: Settings, rooms: Rooms) -> None:
    # The first interceptor is the outermost: it sees what the others refuse.
    interceptors = [Observer((*_SERVICES, health.SERVICE_NAME, *REFLECTIONS), rooms.calls)]
    server = grpc.aio.server(
        interceptors=interceptors,
        options=[
            # Past this gRPC itself refuses, without a reason; up to it the services do, with one.
            ("grpc.max_receive_message_length", 2 * settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # A second server on the same port is a mistake, not a load balancer.
            ("grpc.so_reuseport", 0),
        ],
    )
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingService(rooms), server)
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(CollectionService(rooms), server)
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(ClassificationService(rooms), server)
    server_service_pb2_grpc.add_ServerServiceServicer_to_server(ServerService(rooms), server)
    checked = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checked, server)
    await _set_health(checked, health_pb2.HealthCheckResponse.NOT_SERVING)
    # What warms up or drains is not to be killed for it.
    await checked.set(ALIVE, health_pb2.HealthCheckResponse.SERVING)
    add_reflection(server, (*_SERVICES, health.SERVICE_NAME))
    address = _bind(server, settings.listen)
    await server.start()
    stopped = _signalled()
    for backbone in rooms.backbones:
        await backbone.warm_up()
    _settle_memory()
    rooms.duty.ready = True
    rooms.snapshots.start(rooms.catalog, rooms.catalog.reached_head)
    await _set_health(checked, health_pb2.HealthCheckResponse.SERVING)
    print(f"listening on {address}", flush=True)
    await stopped.wait()
    logger.info("draining for at most %g s", settings.drain_seconds)
    await _set_health(checked, health_pb2.HealthCheckResponse.NOT_SERVING)
    ends = time.monotonic() + settings.drain_seconds
    await rooms.duty.stop(settings.drain_seconds)
    await server.stop(_FAREWELL_SECONDS)
    await rooms.snapshots.finish(ends)


def _settle_memory() -> None:
    # What is loaded now stays for good: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.enable()
    # Loading takes more than it keeps (for a ViT-B/32 230 MiB more); glibc gives that back where it is told to.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _bind(server: grpc.aio.Server, listen: str) -> str:
    host, separator, _ = listen.rpartition(":")
    if not separator:
        raise OSError(f"{listen!r} is not HOST:PORT")
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {listen}: is another server there? Try --listen {host}:0") from error
    return f"{host}:{port}"


async def _set_health(servicer: HealthServicer, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
    for service in ("", *_SERVICES):
        await servicer.set(service, status)


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
