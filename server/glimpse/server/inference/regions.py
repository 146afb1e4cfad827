"""The regions of a call's images: checks them, and decodes each image once for all its regions."""

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from glimpse.backbone import InputError, Region
from glimpse.server.errors import RequestError, invalid
from glimpse.v1 import types_pb2

Pixels = npt.NDArray[np.uint8]
#: Decodes regions of an image to uint8 (n, S, S, 3).
DecodeRegions = Callable[[bytes, Sequence[Region]], Awaitable[Pixels]]
# Regions that are decoded together, which bounds the memory of their pixels.
_AT_ONCE = 16
# The edges of 0.1 + 0.9 may add up to a little more than 1.
_ROUNDING = 1e-6


def region_of(item: types_pb2.Input) -> Region | None:
    """Returns the region of an input, or None for the whole image."""
    if not item.HasField("region"):
        return None
    region = item.region
    return Region(region.x, region.y, region.width, region.height)


def content_digest(content: bytes, region: Region | None) -> str:
    """Returns the digest of an input's bytes, and of its region if it has one."""
    digest = hashlib.sha256(content)
    if region is not None:
        digest.update(b"region" + struct.pack("<4d", *region))
    return f"sha256:{digest.hexdigest()}"


def region_refusal(item: types_pb2.Input, field: str) -> RequestError | None:
    """Returns why an input with a region is refused before its image is decoded, or None.

    Args:
        item: An input with a region.
        field: Its name in errors.
    """
    if item.WhichOneof("content") != "image":
        return invalid("REGION_WITHOUT_IMAGE", "a region is a part of an image; leave it unset", f"{field}.region")
    one = item.region
    for name, start, length in (("width", one.x, one.width), ("height", one.y, one.height)):
        # Not true for NaN either.
        if not (start >= 0 and length > 0 and start + length <= 1 + _ROUNDING):
            message = (
                f"a region from {start:g} with {name} {length:g} is not within the image: both are parts of 1, the sum "
                f"is at most 1, and the {name} is over 0"
            )
            return invalid("OUT_OF_RANGE", message, f"{field}.region.{name}")
    return None


class RegionDecodes:
    """The images of one call that have regions. Use it in the event loop's thread only."""

    def __init__(self, decode: DecodeRegions) -> None:
        """Decodes with `decode`."""
        self._decode = decode
        self._groups: dict[bytes, _Group] = {}
        self._full: list[_Group] = []

    def add(self, image: bytes, region: Region) -> Callable[[], Awaitable[Pixels]]:
        """Adds a region; returns a function that decodes it, uint8 (S, S, 3), with the image's other regions.

        Call it after all regions were added. It raises InputError and RequestError.
        """
        group = self._groups.get(image)
        if group is None or len(group.regions) == _AT_ONCE:
            if group:
                self._full.append(group)
            group = self._groups[image] = _Group(self._decode, image)
        group.regions.append(region)
        return partial(group.pixels, len(group.regions) - 1)

    def cancel(self) -> None:
        """Cancels what is being decoded."""
        for group in (*self._full, *self._groups.values()):
            if group.task:
                group.task.cancel()


class _Group:
    """Regions of one image that are decoded together, when the first of them is wanted."""

    def __init__(self, decode: DecodeRegions, image: bytes) -> None:
        self._decode, self._image = decode, image
        self.regions: list[Region] = []
        self.task: asyncio.Task[Sequence[Pixels | InputError]] | None = None

    async def pixels(self, place: int) -> Pixels:
        """Returns the pixels of a region."""
        if self.task is None:
            self.task = asyncio.create_task(self._all())
        # An input that leaves must not end the decoding for the others.
        outcome = (await asyncio.shield(self.task))[place]
        if isinstance(outcome, InputError):
            raise outcome
        return outcome

    async def _all(self) -> Sequence[Pixels | InputError]:
        try:
            return list(await self._decode(self._image, self.regions))
        except InputError as error:
            if error.reason != "REGION_EMPTY" or len(self.regions) == 1:
                raise
        # One region has no pixel, which is known once the image is open. The others have.
        outcomes: list[Pixels | InputError] = []
        for region in self.regions:
            try:
                outcomes.extend(await self._decode(self._image, [region]))
            except InputError as error:
                outcomes.append(error)
        return outcomes
