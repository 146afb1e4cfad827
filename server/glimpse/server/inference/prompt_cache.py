"""A cache of prompt vectors: most calls repeat the same labels."""

from collections import OrderedDict

from glimpse.fewshot.statistics.unit_vectors import Array

# Room for 33,000 vectors of 384 numbers, or 14,000 of 1,024.
_MAX_BYTES = 64 << 20
# Bytes of the objects' headers and the dictionary entry, measured with vectors of 8 numbers.
_OVERHEAD = 384


class PromptCache:
    """The prompt vectors of one backbone. Drops the least recently used first. For the event loop's thread only."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._vectors: OrderedDict[str, Array] = OrderedDict()

    def get(self, text: str) -> Array | None:
        """Returns a text's vector, (d,), or None."""
        if (vector := self._vectors.get(text)) is not None:
            self._vectors.move_to_end(text)
        return vector

    def put(self, text: str, vector: Array) -> None:
        """Stores a text's vector, and drops others to make room."""
        if text not in self._vectors:
            # Copied, because a view would keep the vectors of its whole batch alive.
            self._vectors[text] = vector.copy()
            self._bytes += _size(text, vector)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(*self._vectors.popitem(last=False))


def _size(text: str, vector: Array) -> int:
    # A character takes up to four bytes. For short texts and vectors the overhead is the largest part.
    return 4 * len(text) + vector.nbytes + _OVERHEAD
