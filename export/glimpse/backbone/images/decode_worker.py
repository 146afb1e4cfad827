"""The process that decodes pictures, so that a decode can be stopped and a crash affects only its picture.

`DecoderPool` starts it: `python -P -m glimpse.backbone.images.decode_worker SOCKET BLOCK LIMITS`. For each picture it
receives a request as JSON and sends one answer. The picture's bytes and its pixels are in the block that it shares with
the server, or follow on the socket if they do not fit. The kernel bounds each decode: memory by RLIMIT_DATA, processor
time by a timer whose signal ends the process.
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
from typing import Any

import numpy as np
from PIL import Image

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_cost import DecodeCost
from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.images.preprocess import decode_image, make_thumbnail
from glimpse.backbone.images.regions import crop_image, decode_regions
from glimpse.backbone.images.resize import Crop, Thumbnail
from glimpse.backbone.images.shared_block import SharedBlock
from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

#: First byte of an answer. Pixels follow it, or are in the shared block; a thumbnail or a crop follows it as
#: a file.
READY, PIXELS, SHARED_PIXELS, FILE, REFUSED, LARGE = b"R", b"P", b"S", b"F", b"E", b"L"
#: Memory that a picture may take without asking: enough for 8 megapixels.
SMALL_BYTES = 64 << 20
# The bound until the header has been read.
_OPENING = DecodeCost(SMALL_BYTES, 2.0)
#: Number of copies of the encoded picture that decoders make.
COPIES = 2
#: Memory beyond the estimate, for buffers, fragmentation and Python's own objects.
SPARE_BYTES = 32 << 20
#: A worker that holds this much more memory than at its start (a decoder leaks) exits, and the pool starts another.
KEPT_BYTES = 64 << 20
_RULES: dict[str, type[ImageRule]] = {rule.__name__: rule for rule in (ImageRule, Thumbnail, Crop)}
# From malloc.h. Large blocks go back to the system immediately, so that they are free for the next picture. A few MiB
# of small blocks are kept: allocating them again for each picture took as long as decoding it.
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1


def main() -> None:
    """Answers requests until the other end of the socket closes."""
    connection, block = Connection(int(sys.argv[1])), SharedBlock(int(sys.argv[2]))
    limits = ImageLimits(**json.loads(sys.argv[3]))
    _prepare(limits)
    resting = _data_bytes()
    connection.send_bytes(READY)
    while (held := _data_bytes()) < resting + KEPT_BYTES:
        try:
            request = json.loads(connection.recv_bytes())
            data = block.read(request["bytes"]) if request["shared"] else connection.recv_bytes()
            connection.send_bytes(_answer(request, data, limits, held + len(data), block))
        except (EOFError, OSError):  # the pool has closed its end
            return


def _prepare(limits: ImageLimits) -> None:
    # A signal to the process group is meant for the server, which still has requests to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # If a container runs out of memory, the kernel should end this process rather than the server.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        mallopt(_M_TRIM_THRESHOLD, 4 << 20)
    Image.MAX_IMAGE_PIXELS = limits.pixels
    # The decoders' C libraries write warnings to standard error, with text that the file decides.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _answer(request: dict[str, Any], data: bytes, limits: ImageLimits, held: int, block: SharedBlock) -> bytes:
    """Decodes one picture and returns the answer; `held` is the memory the process holds before, in bytes."""
    allowed, rule = request["memory_bytes"], _rule(request["rule"], request["kind"])
    regions = [Region(*values) for values in request["regions"]]
    held += COPIES * len(data) + SPARE_BYTES

    def charge(cost: DecodeCost) -> None:
        if cost.memory_bytes > allowed:
            raise LargeImage(cost.memory_bytes)
        _bound(held, cost)

    _bound(held, _OPENING)
    try:
        if isinstance(rule, Thumbnail):
            return FILE + make_thumbnail(data, rule, limits, charge)
        if isinstance(rule, Crop):
            return FILE + crop_image(data, regions[0], limits, charge)
        if regions:
            pixels = decode_regions(data, rule, regions, limits, charge)
        else:
            pixels = np.ascontiguousarray(decode_image(data, rule, limits, charge))
        return SHARED_PIXELS if block.write(pixels.data.cast("B")) else PIXELS + pixels.tobytes()
    except LargeImage as error:
        return LARGE + str(error.memory_bytes).encode()
    except InputError as error:
        return REFUSED + json.dumps([error.reason, str(error)]).encode()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_memory(resource.RLIM_INFINITY)


@lru_cache(maxsize=16)
def _rule(text: str, kind: str) -> ImageRule:
    return _RULES[kind].model_validate_json(text)


def _bound(held: int, cost: DecodeCost) -> None:
    """Limits the process to `cost` from now on; the kernel ends it if it takes more processor time."""
    _limit_memory(held + cost.memory_bytes)
    signal.setitimer(signal.ITIMER_PROF, cost.seconds)


def _limit_memory(limit: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        limit = most if limit == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _data_bytes() -> int:
    """Returns the memory that RLIMIT_DATA counts, in bytes; 0 if the system does not report it."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main()
