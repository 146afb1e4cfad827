"""Logs the active work of the process on SIGUSR1, to find work that was left behind.

kill -USR1 PID        writes to the log: `active work: 3 calls, 81920 bytes, 21 tasks, …`
"""

import asyncio
import logging
import signal
import threading

from glimpse.server.runtime import Runtime

logger = logging.getLogger(__name__)


def dump_on_sigusr1(runtime: Runtime) -> None:
    """Logs the active work at every SIGUSR1 from now on."""
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: logger.info("active work: %s", active_work(runtime))
    )


def active_work(runtime: Runtime) -> str:
    """Returns the numbers of calls, streams, bytes, tasks, threads, and of the places taken in each queue, as text."""
    places = {"searches": runtime.search_pool.admission.taken}
    for backbone in runtime.backbones:
        places[f"images of {backbone.manifest.name}"] = backbone.images.admission.taken
        places[f"texts of {backbone.manifest.name}"] = backbone.texts.admission.taken
    counts = {
        "calls": runtime.inflight.running,
        "streams": runtime.inflight.streams,
        "bytes": runtime.inflight.held,
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        **places,
    }
    return ", ".join(f"{count} {noun}" for noun, count in counts.items())
