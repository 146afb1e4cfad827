"""Predicts which inputs arrive soon, so that an encoder that shares its cores with decoding can wait for them.

Callers that wait for each answer return together, shortly after a batch ends. An encoder that starts with the first of
them splits them into groups for good: the groups run in turn, and each run has its own fixed cost and competes with the
decoding of the others. With ViT-B/32 on two cores, eight callers fell into batches of 7 and 1, a tenth slower than
batches of 8.
"""

import math
from dataclasses import dataclass

# Callers are expected back only if at least this share of them returned in time recently.
_MIN_SHARE = 0.5


@dataclass(slots=True)
class BatchWindow:
    """Tracks inputs being decoded and callers that are likely to return. Times are time.monotonic() seconds."""

    #: Number of admitted inputs that are still being decoded.
    decoding: int = 0
    _answered: int = 0
    _back: int = 0
    _back_until: float = -math.inf
    _share_back: float = 0.0

    def admitted(self, now: float) -> None:
        """Counts an input that was admitted. `ready` follows once it is decoded or has failed."""
        self.decoding += 1
        self._back += now <= self._back_until

    def ready(self) -> None:
        """Counts an admitted input that the encoder need not wait for any longer."""
        self.decoding -= 1

    def answered(self, count: int, now: float, patience: float) -> None:
        """Starts to count how many of `count` answered callers return within `patience` seconds."""
        if self._answered:
            self._share_back += 0.2 * (min(1.0, self._back / self._answered) - self._share_back)
        self._answered, self._back, self._back_until = count, 0, now + patience

    def expected_until(self) -> float:
        """Returns until when another input may arrive; a time in the past if none is expected."""
        if self.decoding > 0:
            return math.inf
        returning = self._back < self._answered and self._share_back >= _MIN_SHARE
        return self._back_until if returning else -math.inf
