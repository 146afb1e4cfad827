"""Decodes images for many callers, in turn and within limits of time and memory."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Crop, DecoderPool, ImageLimits, ImageRule, LargeImage, Region, Thumbnail, cores
from glimpse.server.scheduling.thread_pool import FairPool, P, R
from glimpse.server.settings import Settings

Pixels = npt.NDArray[np.uint8]
# A large image that waits in a thread for memory has had its turn, so each thread has only one.
_LARGE_AHEAD = 1


class Decoders:
    """Decoding processes, and threads that wait for them: one pool for small images, one for large ones.

    A large image may take seconds. There is one process more than the pool for large images has threads, so that one
    process is always free for small images.
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
        # Close the processes first: a thread ends only after its image.
        self._processes.close()
        for pool in (self._small, self._large):
            pool.__exit__()

    def start(self) -> None:
        """Starts a process before the first image arrives."""
        self._processes.start()

    async def decode(self, image: bytes, rule: ImageRule, regions: Sequence[Region] = ()) -> Pixels:
        """Decodes an image to uint8 (size, size, 3), or n regions of it to (n, size, size, 3). Raises InputError."""
        try:
            return await self._small.run(self._processes.decode_small, image, rule, regions)
        except LargeImage as large:
            return await self._large.run(self._processes.decode_large, image, rule, large, regions)

    async def crop(self, image: bytes, region: Region) -> bytes:
        """Returns a region of an image as a PNG of the same pixels. Raises InputError."""
        return (await self.decode(image, Crop(), [region])).tobytes()

    async def thumbnail(self, image: bytes, size: int) -> bytes:
        """Makes an image a JPEG of at most `size` pixels a side. Raises InputError."""
        return (await self.decode(image, Thumbnail(size=size))).tobytes()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs other work on inputs, such as tokenising, in a thread and returns its result."""
        return await self._small.run(work, *args, **kwargs)
