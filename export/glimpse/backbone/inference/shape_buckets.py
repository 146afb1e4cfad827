"""Fixed shapes for devices that prepare themselves anew for every shape they meet: batches are padded up to a few."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Inputs = Mapping[str, npt.NDArray[Any]]
# Fewer tokens are no faster on a device that buckets are for.
SHORTEST = 16
# No shape of more tokens is made ready: attention over the longest contexts would fill the device's memory.
_READY_TOKENS = 32 * 512


@dataclass(frozen=True, slots=True)
class Buckets:
    """Batches of 1, 2, 4, … and `max_batch`; texts of `shortest`, 2 x, 4 x, … and `context` tokens (0: no texts)."""

    max_batch: int
    context: int = 0
    pad_id: int = 0
    #: Tokens of the smallest bucket: the context itself for towers that always read so many.
    shortest: int = SHORTEST

    def rows(self, count: int) -> int:
        """The batch size for so many inputs; more than `max_batch` stay as they are."""
        return _bucket(count, 1, self.max_batch)

    def tokens(self, length: int) -> int:
        """The length for texts of so many tokens; more than `context` stay as they are."""
        return _bucket(length, self.shortest, self.context)

    def shapes(self) -> Iterator[tuple[int, int]]:
        """The shapes to make ready before the first caller comes: (rows, tokens), tokens 0 where there are no texts."""
        for tokens in _all_buckets(self.shortest, self.context) if self.context else [0]:
            for rows in _all_buckets(1, self.max_batch):
                if rows * tokens <= _READY_TOKENS:
                    yield rows, tokens

    @property
    def largest(self) -> int:
        """Pictures, or tokens in all, of the largest shape that is made ready."""
        return max(rows * (tokens or 1) for rows, tokens in self.shapes())

    def pad(self, inputs: Inputs) -> Inputs:
        """Inputs brought to a bucket's shape: more tokens that the mask leaves out, more rows like the last one."""
        padded = {}
        for name, values in inputs.items():
            if self.context:
                more = self.tokens(values.shape[1]) - values.shape[1]
                fill = self.pad_id if name == "input_ids" else 0
                values = np.pad(values, ((0, 0), (0, more)), constant_values=fill)
            more = self.rows(len(values)) - len(values)
            # Not zeros: a row of no token at all is nothing that a graph was made for.
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
