"""Decodes pictures for many callers: in turn, within limits of time and memory."""

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt

from glimpse.backbone import DecoderPool, ImageLimits, ImageRule, LargeImage, cores
from glimpse.server.scheduling.thread_pool import FairPool, P, R
from glimpse.server.settings import Settings

Pixels = npt.NDArray[np.uint8]
# Large pictures that wait in a thread for memory are out of turn already, so no more than can use it.
_LARGE_AHEAD = 1


class Decoders:
    """Decoding processes, and threads that wait for them: one lane for most pictures, one for large ones.

    A large picture may take seconds. There is one process more than the large lane has threads, so that small pictures
    never wait for large ones alone.
    """

    def __init__(self, settings: Settings) -> None:
        threads = settings.decode_threads or cores()
        limits = ImageLimits(settings.max_image_side, settings.max_image_pixels, settings.max_decode_bytes)
        self._processes = DecoderPool(threads + 1, limits)
        self._small = FairPool(threads, "decode")
        self._large = FairPool(threads, "decode-large", ahead=_LARGE_AHEAD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # First the processes: a thread ends only when its picture does.
        self._processes.close()
        for lane in (self._small, self._large):
            lane.__exit__()

    def start(self) -> None:
        """Starts a process ahead of the first picture."""
        self._processes.start()

    async def decode(self, image: bytes, rule: ImageRule) -> Pixels:
        """Decodes a picture: uint8 (size, size, 3). Raises InputError."""
        try:
            return await self._small.run(self._processes.decode_small, image, rule)
        except LargeImage as large:
            return await self._large.run(self._processes.decode_large, image, rule, large)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs other work on inputs, such as tokenising, in a thread."""
        return await self._small.run(work, *args, **kwargs)
