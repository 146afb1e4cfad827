"""What is under way in this process, as a line of the log: for whoever asks whether something stayed behind.

kill -USR1 PID        then read the log: `under way: 3 calls, 81920 bytes, 21 tasks, …`
"""

import asyncio
import logging
import signal
import threading

from glimpse.server.runtime import Runtime

logger = logging.getLogger(__name__)


def dump_on_sigusr1(runtime: Runtime) -> None:
    """From here on, SIGUSR1 has it logged."""
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: logger.info("under way: %s", active_work(runtime))
    )


def active_work(runtime: Runtime) -> str:
    """Calls and streams' inputs, streams, bytes, asyncio's tasks, threads, and the places taken for each device."""
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
    return ", ".join(f"{count} {what}" for what, count in counts.items())
