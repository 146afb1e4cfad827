"""Real servers under writers while something goes wrong: what was acknowledged is there, once, and whole.

    GLIMPSE_CHAOS_ROUNDS=25 python -m pytest tests/chaos/test_faults.py    # make chaos; by default one round of each

A round: writers enroll, send again, relabel, delete and search; something goes wrong at a moment that a seed decides;
and then all that was acknowledged is compared with what the server lists, searches and scores by.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from glimpse.v1 import collection_service_pb2 as col
from support.active_work import active_work, left, settled
from support.bundles import tiny_image_bundle
from support.compactions import compact
from support.disks import with_small_disk
from support.fault_scenario import Scene, closing
from support.indexes import make_index
from support.postgres import Postgres, postgres
from support.proxy import Proxy
from support.recorded_writes import direction
from support.server import GLIMPSE, ServerProcess
from support.streamers import Streamers

ROUNDS = int(os.environ.get("GLIMPSE_CHAOS_ROUNDS", "1"))
pytestmark = [pytest.mark.rest, pytest.mark.timeout(120 + 60 * ROUNDS)]
# A server whose clock is wrong by a number of seconds, which a file contains.
_FAKED = """
import sys, time
real, file = time.time_ns, sys.argv.pop(1)
time.time_ns = lambda: real() + int(open(file).read() or 0) * 10**9
time.time = lambda: time.time_ns() / 1e9
from glimpse.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    tiny_image_bundle(folder, "tiny")
    return folder


@pytest.fixture
def scene(bundle: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with closing(ServerProcess(tmp_path, bundle)) as server:
        yield Scene(server, request.node.name)


def test_killed_while_enrolling_and_deleting(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.round(scene.kill)


def test_killed_while_compacting(scene: Scene, tmp_path: Path) -> None:
    rows = np.stack([direction(f"row/{row}") for row in range(2_000)])
    labels = [f"label-{row % 3}" for row in range(len(rows))]
    indexes = tmp_path / "data" / "indexes"
    make_index(indexes / "base", scene.target.space, rows, labels)
    with scene.stubs() as stubs:
        stubs.collections.AttachIndex(col.AttachIndexRequest(collection=scene.target.name, index="indexes/base"))

    request = col.StartCompactionRequest(collection=scene.target.name)

    def cut_short() -> bool:
        with scene.stubs() as stubs:
            stubs.collections.StartCompaction(request, wait_for_ready=True)
            return scene.kill_amid(indexes, 0.2)

    def fault() -> None:
        scene.until(cut_short)  # a kill after the end, or while the index changed, does not count as a round
        with scene.stubs() as stubs:
            compaction = compact(stubs, scene.target.name, wait_for_ready=True)
            assert compaction.state == col.COMPACTION_STATE_DONE, compaction.failure

    for _ in range(ROUNDS):
        scene.round(fault)


def test_killed_while_a_snapshot_is_written(bundle: Path, tmp_path: Path) -> None:
    with closing(ServerProcess(tmp_path, bundle, snapshot_seconds=0.05, snapshot_examples=1)) as server:
        scene = Scene(server, "snapshot")
        home = tmp_path / "data" / "snapshots" / "birds"
        for _ in range(ROUNDS):
            scene.round(lambda: scene.until(lambda: scene.kill_amid(home, 0.01)))


def test_the_disk_is_full_and_has_room_again(bundle: Path, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, bundle)
    server.program = [*with_small_disk(tmp_path / "data", "24m"), *GLIMPSE]
    with closing(server):
        scene = Scene(server, "full")
        assert server.process
        ballast = Path(f"/proc/{server.process.pid}/root{tmp_path}/data/ballast")

        def fault() -> None:
            with suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(b"\0" * (1 << 16))
                    file.flush()
            scene.record.refused.clear()
            scene.until(lambda: "LEDGER_UNAVAILABLE" in scene.record.refused)
            ballast.unlink()

        for _ in range(ROUNDS):
            scene.round(fault)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def test_killed_on_postgresql(bundle: Path, tmp_path: Path, database: Postgres) -> None:
    with closing(ServerProcess(tmp_path, bundle, ledger=database.database())) as server:
        scene = Scene(server, "postgresql")
        for _ in range(ROUNDS):
            scene.round(scene.kill)


def test_the_database_is_gone_and_back(bundle: Path, tmp_path: Path, database: Postgres) -> None:
    with closing(ServerProcess(tmp_path, bundle, ledger=database.database())) as server:
        scene = Scene(server, "gone")

        def fault() -> None:
            database.stop(scene.chance.choice((signal.SIGQUIT, signal.SIGINT)))
            time.sleep(scene.chance.uniform(0, 0.5))
            database.start()

        for _ in range(ROUNDS):
            scene.round(fault)


def test_the_clock_jumps(bundle: Path, tmp_path: Path) -> None:
    off = tmp_path / "off"
    off.write_text("0")
    server = ServerProcess(tmp_path, bundle)
    server.program = [sys.executable, "-c", _FAKED, str(off)]
    with closing(server):
        scene = Scene(server, "clock")

        def jump() -> None:
            write_whole(off, str(scene.chance.randrange(-10 * 86_400, 10 * 86_400)))
            if scene.chance.random() < 0.3:
                scene.kill()

        for _ in range(ROUNDS):
            scene.round(jump)


def write_whole(file: Path, content: str) -> None:
    """Replaces a file in one step, so that a reader sees the old or the new content."""
    other = file.with_suffix(".new")
    other.write_text(content)
    other.rename(file)


def test_connections_are_cut_in_the_middle(scene: Scene) -> None:
    with Proxy(scene.server.address) as proxy:

        def fault() -> None:
            for _ in range(5):
                proxy.cut()
                time.sleep(scene.chance.uniform(0, 0.2))

        for _ in range(ROUNDS):
            scene.round(fault, lambda: proxy.address)


def test_streams_are_cut_in_the_middle(scene: Scene) -> None:
    before = active_work(scene.server)
    with Proxy(scene.server.address) as proxy:

        def fault() -> None:
            scene.until(lambda: scene.record.done)
            with Streamers(scene.target.name, lambda: proxy.address) as streamers:
                while streamers.broken < 10:
                    scene.until(lambda: streamers.all_answered)
                    time.sleep(scene.chance.uniform(0, 0.2))
                    proxy.cut()
            assert not streamers.wrong, streamers.wrong[:3]

        for _ in range(ROUNDS):
            scene.round(fault, lambda: proxy.address)
            after = settled(scene.server, before["tasks"])
            assert left(after) == {}
            assert after["tasks"] <= before["tasks"]
