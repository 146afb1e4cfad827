"""What is under way in a server, as its log tells it."""

import re
import signal
import time

from support.server import ServerProcess


def census(server: ServerProcess) -> dict[str, int]:
    """Calls, bytes, tasks, threads, and places by what they are for."""
    assert server.process
    before = server.log().count("under way: ")
    server.process.send_signal(signal.SIGUSR1)
    while server.log().count("under way: ") == before:
        time.sleep(0.02)
    line = server.log().rsplit("under way: ", 1)[1].split("\n", 1)[0]
    return {what: int(count) for count, what in re.findall(r"(\d+) ([^,]+)", line)}
