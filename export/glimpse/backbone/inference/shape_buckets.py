"""Pads batches to a few fixed shapes, for devices that prepare themselves for each new shape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Inputs = Mapping[str, npt.NDArray[Any]]
# Fewer tokens are not faster on devices that use buckets.
SHORTEST = 16
# The most tokens of a shape that is prepared in advance: attention over longer contexts would fill the device's memory.
_READY_TOKENS = 32 * 512


@dataclass(frozen=True, slots=True)
class Buckets:
    """The fixed shapes: batches of 1, 2, 4, … `max_batch` rows; texts of `shortest`, 2 x, 4 x, … `context` tokens.

    Attributes:
        max_batch: rows of the largest batch.
        context: tokens of the longest text; 0 for a graph of images.
        pad_id: id of the padding token.
        shortest: tokens of the smallest bucket; equal to `context` for a text tower that always reads its whole
            context.
    """

    max_batch: int
    context: int = 0
    pad_id: int = 0
    shortest: int = SHORTEST

    def rows(self, count: int) -> int:
        """Returns the batch size to pad `count` inputs to; `count` itself if it is above `max_batch`."""
        return _bucket(count, 1, self.max_batch)

    def tokens(self, length: int) -> int:
        """Returns the length to pad a text of `length` tokens to; `length` itself if it is above `context`."""
        return _bucket(length, self.shortest, self.context)

    def shapes(self) -> Iterator[tuple[int, int]]:
        """Yields the shapes to prepare before the first request, as (rows, tokens); tokens is 0 for images."""
        for tokens in _all_buckets(self.shortest, self.context) if self.context else [0]:
            for rows in _all_buckets(1, self.max_batch):
                if rows * tokens <= _READY_TOKENS:
                    yield rows, tokens

    @property
    def largest(self) -> int:
        """The number of pictures, or of tokens in all, of the largest shape that is prepared."""
        return max(rows * (tokens or 1) for rows, tokens in self.shapes())

    def pad(self, inputs: Inputs) -> Inputs:
        """Pads inputs to the shape of their bucket: with masked tokens, and with copies of the last row."""
        padded = {}
        for name, values in inputs.items():
            if self.context:
                more = self.tokens(values.shape[1]) - values.shape[1]
                fill = self.pad_id if name == "input_ids" else 0
                values = np.pad(values, ((0, 0), (0, more)), constant_values=fill)
            more = self.rows(len(values)) - len(values)
            # Rows of zeros would have no token at all, which graphs are not made for.
            padded[name] = np.concatenate([values, np.repeat(values[-1:], more, axis=0)]) if more else values
        return padded


def _bucket(count: int, least: int, most: int) -> int:
    if not 0 < count <= most:
        return count
    return min(max(least, 1 << (count - 1).bit_length()), most)


def _all_buckets(least: int, most: int) -> list[int]:
    sizes = []
    while least < most:
        sizes.append(least)
        least *= 2
    return [*sizes, most]
