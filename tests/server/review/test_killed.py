"""A server that is killed between any two steps of a review leaves everything or nothing of each call."""

import signal
from functools import partial
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from glimpse.ledger import sqlite_url
from glimpse.ledger.maintenance.verify import verify
from glimpse.v1 import collection_service_pb2 as col
from support.full_ledger import quiet
from support.killed_server import AT_COMMIT, COMMITTED, kill_at
from support.reviewed import Reviewed, unlike_all
from support.server import ServerProcess, Stubs

# Steps at which a server is killed: statements, and the commit. tests/ledger/review kills after every statement.
_RESOLVING, _UNDOING = (9, AT_COMMIT, COMMITTED), (6, COMMITTED)


class Killed:
    """A server with eight items that wait; it is killed and started again on the same data."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.reviewed = server, Reviewed(Stubs(server.address))
        self.reviewed.classify(unlike_all())
        self.names = [item.name for item in self.reviewed.items(8)]

    def start(self, step: int | None) -> None:
        """Kills the server, unless it is dead, and starts one that is killed at a step."""
        self.server.stop(signal.SIGKILL)
        self.server.prepare = partial(kill_at, step) if step is not None else None
        self.server.start()
        self.reviewed.stubs.channel.close()
        self.reviewed.stubs = Stubs(self.server.address)

    def state(self) -> tuple[int, int, bool]:
        """Returns how many items wait, how many examples there are, and whether the new label exists."""
        get = col.GetCollectionRequest(name=self.reviewed.name)
        collection = self.reviewed.stubs.collections.GetCollection(get).collection
        return len(self.reviewed.items()), collection.example_count - 48, collection.label_count == 5


def test_a_server_killed_between_two_steps_leaves_nothing_half_done(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        killed = Killed(server)
        killed.start(_RESOLVING[0])
        before, after = (8, 0, False), (5, 3, True)
        request = {"new_label_id": "new", "request_id": "once"}
        for step, following in pairwise((*_RESOLVING, _UNDOING[0])):
            with pytest.raises(grpc.RpcError):
                killed.reviewed.resolve(killed.names[:3], **request)
            killed.start(following)
            assert killed.state() == (after if step == COMMITTED else before), step
        done = killed.reviewed.resolve(killed.names[:3], **request)
        assert killed.state() == after
        assert [result.status.code for result in done.results] == [0, 0, 0], "the answer that the caller missed"
        for undoing, then in pairwise((*_UNDOING, None)):
            with pytest.raises(grpc.RpcError):
                killed.reviewed.undo(done.resolution)
            killed.start(then)
            assert killed.state() == (before if undoing == COMMITTED else after), undoing
        again = killed.reviewed.undo(done.resolution)
        assert (again.item_count, again.example_count) == (0, 0), "it is undone already"
    assert not verify(sqlite_url(tmp_path / "data"), quiet)
