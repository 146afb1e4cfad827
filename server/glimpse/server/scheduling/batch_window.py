"""Which inputs are about to come: what a free encoder on the same cores as decoding may wait a moment for.

Callers that wait for each answer before they ask again come back together, a moment after a run. An encoder that starts
with the first of them splits them into groups that run in turn for ever, each run at its own fixed cost and beside the
others' decoding: eight callers of a ViT-B/32 on two cores fell into runs of 7 and 1, a tenth slower than runs of 8.
"""

import math
from dataclasses import dataclass

# Where fewer of the answered callers than this came back in time, nobody is waited for.
_ENOUGH = 0.5


@dataclass(slots=True)
class BatchWindow:
    """Times in time.monotonic() seconds."""

    #: Admitted inputs that are still being decoded.
    decoding: int = 0
    _answered: int = 0
    _back: int = 0
    _back_until: float = -math.inf
    _share_back: float = 0.0

    def admitted(self, now: float) -> None:
        """An input came; `ready` follows when it is decoded, or has failed."""
        self.decoding += 1
        self._back += now <= self._back_until

    def ready(self) -> None:
        """An admitted input need not be waited for any longer."""
        self.decoding -= 1

    def answered(self, count: int, now: float, patience: float) -> None:
        """So many inputs have their vectors; whether their callers come back within `patience` seconds is watched."""
        if self._answered:
            self._share_back += 0.2 * (min(1.0, self._back / self._answered) - self._share_back)
        self._answered, self._back, self._back_until = count, 0, now + patience

    def expected_until(self) -> float:
        """Until when an input may still be said to be on its way; in the past where none is."""
        if self.decoding > 0:
            return math.inf
        returning = self._back < self._answered and self._share_back >= _ENOUGH
        return self._back_until if returning else -math.inf
