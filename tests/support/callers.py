"""Threads that make calls until they are stopped."""

import threading
from abc import abstractmethod
from typing import Self


class Callers:
    """Threads that run while the context is open."""

    def __init__(self, count: int) -> None:
        self.stopped = threading.Event()
        self._threads = [threading.Thread(target=self.run, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    @abstractmethod
    def run(self, number: int) -> None:
        """Does the work of one thread."""
