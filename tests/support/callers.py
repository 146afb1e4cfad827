"""Some threads that call until they are told to stop."""

import threading
from abc import abstractmethod
from typing import Self


class Callers:
    """Use it as a context manager: they run meanwhile."""

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
        """What one of them does."""
