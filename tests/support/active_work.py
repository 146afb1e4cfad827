"""Reads the active work of a server from its log, after SIGUSR1."""

import re
import signal
import time

from support.server import ServerProcess


def active_work(server: ServerProcess) -> dict[str, int]:
    """Returns the numbers of calls, bytes, tasks, threads and queue places, by name."""
    assert server.process
    before = server.log().count("active work: ")
    server.process.send_signal(signal.SIGUSR1)
    while server.log().count("active work: ") == before:
        time.sleep(0.02)
    line = server.log().rsplit("active work: ", 1)[1].split("\n", 1)[0]
    return {what: int(count) for count, what in re.findall(r"(\d+) ([^,]+)", line)}


def settled(server: ServerProcess, tasks: int) -> dict[str, int]:
    """Returns the active work once there is none, or after 20 seconds."""
    end = time.monotonic() + 20
    while True:
        found = active_work(server)
        if time.monotonic() > end or (not left(found) and found["tasks"] <= tasks):
            return found
        time.sleep(0.1)


def left(found: dict[str, int]) -> dict[str, int]:
    """Returns the counts that should be zero once all callers have left, without the zeros."""
    return {what: count for what, count in found.items() if count and what not in ("tasks", "threads")}
