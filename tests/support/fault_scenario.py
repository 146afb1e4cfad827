"""A server with a fault while callers write, and the checks afterwards."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.recorded_writes import Record, Target, Witness, check
from support.server import ServerProcess, Stubs
from support.wait import soon

SEED = os.environ.get("GLIMPSE_CHAOS_SEED", "0")


class Scene:
    """A server with a collection, and the acknowledgements of its writers."""

    def __init__(self, server: ServerProcess, kind: str) -> None:
        self.server, self.record = server, Record()
        self.chance = random.Random(f"{SEED}/{kind}")
        self._rounds = 0
        self._left: set[Path] = set()
        server.start()
        server.listen = server.address
        with self.stubs() as stubs:
            head = types_pb2.HEAD_CLASS_MEAN
            made = stubs.collections.CreateCollection(
                col.CreateCollectionRequest(collection_id="birds", collection=col.Collection(pinned_head=head))
            ).collection
        self.target = Target(made.name, made.embedding_space)

    @contextmanager
    def stubs(self) -> Iterator[Stubs]:
        stubs = Stubs(self.server.address)
        try:
            yield stubs
        finally:
            stubs.channel.close()

    def round(self, fault: Callable[[], None], address: Callable[[], str] | None = None) -> None:
        """Runs writers with a fault in between, after which the server should work again."""
        self._rounds += 1
        seed = f"{SEED}/{self._rounds}"
        with Witness(self.target, address or (lambda: self.server.address), self.record, seed):
            time.sleep(self.chance.uniform(0.2, 0.8))
            fault()
            # Channels to a server that was down fail without a call, until one of them has connected.
            before = len(self.record.done)
            self.until(lambda: len(self.record.done) > before)
        with self.stubs() as stubs:
            assert check(stubs, self.target, self.record)

    def until(self, there: Callable[[], object], every: float = 0.05) -> None:
        """Waits for a condition that must become true; checks it `every` seconds."""
        soon(there, 60, every)

    def kill(self) -> None:
        assert self.server.stop(signal.SIGKILL) == -signal.SIGKILL
        self.server.start()

    def kill_amid(self, folder: Path, within: float) -> bool:
        """Kills the server up to `within` seconds after it has begun to make something in `folder`.

        Returns whether that was still being made: it is left there then, under the name that it has until it is whole.
        """
        self.until(lambda: unfinished(folder) - self._left, every=0.001)
        time.sleep(self.chance.uniform(0, within))
        assert self.server.stop(signal.SIGKILL) == -signal.SIGKILL
        before, self._left = self._left, unfinished(folder)
        self.server.start()
        return bool(self._left - before)


def unfinished(folder: Path) -> set[Path]:
    """Returns the unfinished indexes and snapshots in a folder."""
    return {one for one in folder.glob(".*.tmp") if not one.name.endswith(".old.tmp")}  # this folder is being removed


@contextmanager
def closing(server: ServerProcess) -> Iterator[ServerProcess]:
    try:
        yield server
    finally:
        if server.process:
            server.stop(signal.SIGKILL)
