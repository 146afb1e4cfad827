"""The vectors of prompts by their text: the same few labels come with every call."""

from collections import OrderedDict

from glimpse.fewshot.statistics.unit_vectors import Array

# 33,000 vectors of 384 numbers, 14,000 of 1,024.
_MAX_BYTES = 64 << 20
# A text's and an array's header and their place in the dictionary: measured with 8 numbers a vector.
_OVERHEAD = 384


class PromptCache:
    """One backbone's; the text used longest ago goes first. For the event loop's thread alone."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._vectors: OrderedDict[str, Array] = OrderedDict()

    def get(self, text: str) -> Array | None:
        """A text's vector, (d,), where it is still there."""
        if (vector := self._vectors.get(text)) is not None:
            self._vectors.move_to_end(text)
        return vector

    def put(self, text: str, vector: Array) -> None:
        """Keeps a text's vector, and lets go of others to make room."""
        if text not in self._vectors:
            # A copy: what comes from a batch would keep the whole batch.
            self._vectors[text] = vector.copy()
            self._bytes += _size(text, vector)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(*self._vectors.popitem(last=False))


def _size(text: str, vector: Array) -> int:
    # A character may take four bytes. Of short texts and vectors the objects around them weigh most.
    return 4 * len(text) + vector.nbytes + _OVERHEAD
