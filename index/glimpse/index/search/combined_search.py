"""Joins searches that wait for a device: a search of many queries costs little more than that of a single one."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np

from glimpse.index.types import Ids, Vectors

Found = tuple[Vectors, Ids]
#: Searches queries, (n, d), for the k nearest: similarities and rows, each (n, k), nearest first.
Search = Callable[[Vectors, int], Found]
# Queries of one search, which bound its results: 2,048 of each query are 25 MB.
_MOST_QUERIES = 1_024


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's search, and its result."""

    queries: Vectors
    k: int
    found: Found | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.found is not None or self.error is not None


class CombinedSearch:
    """Joins the searches of several threads in one index on a device.

    The first caller waits for the device. Callers that come before its search starts join it: it has the queries of
    all and the largest k. Callers who come during a search share the next one. A lone caller waits for nothing.
    """

    def __init__(self, device: AbstractContextManager[object]) -> None:
        """Holds `device`, a lock, during each search."""
        self._device: Final = device
        self._changed = threading.Condition()
        self._waiting: list[_Call] = []
        self._searching = False

    def search(self, run: Search, queries: Vectors, k: int) -> Found:
        """Searches, possibly together with other callers.

        Args:
            run: searches the index; the same for every caller.
            queries: unit vectors, (n, d).
            k: at least 1.

        Returns:
            What `run` returns for these queries and this k: the first k of a search with a larger k are the same.

        Raises:
            Exception: what `run` raised, in every call of a common search.
        """
        call = _Call(queries, k)
        with self._changed:
            self._waiting.append(call)
            self._changed.wait_for(lambda: call.done or not self._searching)
            if not call.done:
                self._searching = True
        if not call.done:
            self._lead(run, call)
        if call.error is not None:
            raise call.error
        assert call.found is not None  # noqa: S101 (every call of a search has a result or an error)
        return call.found

    def _lead(self, run: Search, own: _Call) -> None:
        """Searches for this caller and for those who wait when the device is free."""
        try:
            while not own.done:
                with self._device:
                    _run(run, self._take())
                with self._changed:
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._searching = False
                self._changed.notify_all()

    def _take(self) -> list[_Call]:
        """Removes the calls of the next search: the first, and as many as fit."""
        with self._changed:
            sizes = np.cumsum([len(call.queries) for call in self._waiting])
            count = max(1, int(np.searchsorted(sizes, _MOST_QUERIES, "right")))
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


def _run(run: Search, calls: list[_Call]) -> None:
    try:
        similarities, rows = run(np.concatenate([call.queries for call in calls]), max(call.k for call in calls))
    except Exception as error:
        for call in calls:
            call.error = error
        return
    start = 0
    for call in calls:
        part = slice(start, start + len(call.queries))
        call.found, start = (similarities[part, : call.k], rows[part, : call.k]), part.stop
