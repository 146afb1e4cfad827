"""Decodes pictures in a process of its own, so that a decode can be ended, and a crash is that picture's alone.

`DecoderPool` starts it: `python -P -m glimpse.backbone.images.decode_worker FD LIMITS`. For each picture it
receives a request as JSON and the picture's bytes on the socket FD, and sends one answer. The kernel bounds what a
decode takes: memory (RLIMIT_DATA) and processor time (a timer whose signal ends the process).
"""

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from functools import lru_cache
from multiprocessing.connection import Connection

from PIL import Image

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_cost import DecodeCost
from glimpse.backbone.images.preprocess import ImageLimits, decode_image
from glimpse.backbone.manifest import ImageRule

# The first byte of an answer.
READY, PIXELS, REFUSED, LARGE = b"R", b"P", b"E", b"L"
#: Memory that each picture may take without asking: enough for one of 8 megapixels.
SMALL_BYTES = 64 << 20
# What is taken until the header says more.
_OPENING = DecodeCost(SMALL_BYTES, 2.0)
#: Copies of the encoded picture that decoders make.
COPIES = 2
#: Memory beyond the estimate: buffers, fragments, Python's own objects.
SPARE_BYTES = 32 << 20
#: A worker that keeps more than this of what it took, by a leak in a decoder, makes room for a new one.
KEPT_BYTES = 64 << 20
# Of malloc.h. What is large goes back to the system at once, so that the next picture finds it.
_M_MMAP_THRESHOLD = -3


def main() -> None:
    """Answers until the other end of the socket closes."""
    connection, limits = Connection(int(sys.argv[1])), ImageLimits(**json.loads(sys.argv[2]))
    _prepare(limits)
    resting = _data_bytes()
    connection.send_bytes(READY)
    while (held := _data_bytes()) < resting + KEPT_BYTES:
        try:
            request, data = json.loads(connection.recv_bytes()), connection.recv_bytes()
            connection.send_bytes(_answer(request, data, limits, held + len(data)))
        except (EOFError, OSError):  # the pool is gone
            return


def _prepare(limits: ImageLimits) -> None:
    # A signal for the whole group is the server's to follow: it still has answers to give.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where a container's memory runs out, this process goes and not the server.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
    Image.MAX_IMAGE_PIXELS = limits.pixels
    # Decoders' libraries write there whatever a file makes them write.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _answer(request: dict[str, int | str], data: bytes, limits: ImageLimits, held: int) -> bytes:
    """One picture's answer; `held`: bytes that the process holds before it decodes."""
    allowed, rule = int(request["memory_bytes"]), _rule(str(request["rule"]))
    held += COPIES * len(data) + SPARE_BYTES

    def charge(cost: DecodeCost) -> None:
        if cost.memory_bytes > allowed:
            raise LargeImage(cost.memory_bytes)
        _bound(held, cost)

    _bound(held, _OPENING)
    try:
        return PIXELS + decode_image(data, rule, limits, charge).tobytes()
    except LargeImage as error:
        return LARGE + str(error.memory_bytes).encode()
    except InputError as error:
        return REFUSED + json.dumps([error.reason, str(error)]).encode()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_memory(resource.RLIM_INFINITY)


@lru_cache(maxsize=16)
def _rule(text: str) -> ImageRule:
    return ImageRule.model_validate_json(text)


def _bound(held: int, cost: DecodeCost) -> None:
    """Lets the process take `cost` from now on; it ends where it takes more time."""
    _limit_memory(held + cost.memory_bytes)
    signal.setitimer(signal.ITIMER_PROF, cost.seconds)


def _limit_memory(limit: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        limit = most if limit == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _data_bytes() -> int:
    """The process's memory that RLIMIT_DATA counts; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main()
