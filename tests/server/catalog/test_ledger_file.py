"""Tests an SQLite ledger whose file is moved, replaced or damaged, or belongs to another server."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from glimpse.client import Client, GlimpseError, Retry, Unavailable
from glimpse.ledger import Ledger, sqlite_url
from glimpse.ledger.maintenance.backup import back_up
from glimpse.ledger.maintenance.parquet import export
from glimpse.ledger.maintenance.verify import verify
from support.forked import run_forked
from support.full_ledger import quiet
from support.metrics import samples
from support.server import ServerProcess, Stubs
from support.wait import soon


def client_of(server: ServerProcess) -> Client:
    return Client(server.address, retry=Retry(attempts=1))


def names(folder: Path) -> list[str]:
    """Returns the collections that a server started on a data folder would have."""
    assert not verify(sqlite_url(folder), quiet)
    with Ledger.open(sqlite_url(folder)) as ledger:
        return [record.id for record in ledger.collections()]


def test_moved_ledger_is_readable_but_not_writable_until_restored(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        ServerProcess(tmp_path, bundles[0], metrics_listen="127.0.0.1:0") as server,
        client_of(server) as client,
    ):
        client.create_collection("first")
        for source, target in ((data / "ledger.sqlite", data / "moved"), (data, tmp_path / "renamed")):
            source.rename(target)
            with pytest.raises(Unavailable) as caught:  # at once, without waiting for the next poll
                client.create_collection("lost")
            assert caught.value.reason == "LEDGER_REPLACED"
            assert "restart the server" in str(caught.value)
            assert [one.id for one in client.list_collections()][-1:] == ["first"]
            assert not list(client.list_examples("first"))  # which reads the ledger
            soon(lambda: samples(server, "glimpse_ledger_seconds_since_reached")[()] > 2)
            target.rename(source)
            client.create_collection(f"after-{target.name}")
            soon(lambda: samples(server, "glimpse_ledger_seconds_since_reached")[()] < 1.5)
        assert f"{data}/ledger.sqlite was removed or moved while this process has it open" in server.log()
        assert "Traceback" not in server.log()
    assert names(data) == ["after-moved", "after-renamed", "first"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_backup_moved_over_a_live_ledger_damages_neither(
    bundles: tuple[Path, Path], tmp_path: Path, number: signal.Signals
) -> None:
    data, old = tmp_path / "data", tmp_path / "old"
    with ServerProcess(tmp_path, bundles[0]) as server:
        with client_of(server) as client:
            client.create_collection("saved")
            back_up(sqlite_url(data), tmp_path / "backup", quiet)
            client.create_collection("later")
            old.mkdir()
            os.link(data / "ledger.sqlite", old / "ledger.sqlite")
            (tmp_path / "backup").replace(data / "ledger.sqlite")
            with pytest.raises(Unavailable, match="restart the server"):
                client.create_collection("lost")
        server.stop(number)
        assert names(old) == ["later", "saved"]
        server.start()
        with client_of(server) as client:
            assert [one.id for one in client.list_collections()] == ["saved"]
            client.create_collection("new")
    assert names(data) == ["new", "saved"]


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_removed_write_ahead_log_loses_nothing(bundles: tuple[Path, Path], tmp_path: Path, ending: str) -> None:
    data = tmp_path / "data"
    with ServerProcess(tmp_path, bundles[0]) as server:
        with client_of(server) as client:
            client.create_collection("kept")
            (data / f"ledger.sqlite{ending}").unlink()
            with pytest.raises(Unavailable, match="restart the server"):
                client.create_collection("lost")
        server.stop(signal.SIGKILL)
    assert names(data) == ["kept"]


def test_second_server_on_the_same_file_is_refused(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    with ServerProcess(tmp_path, bundles[0]) as server:
        with Stubs(server.address).channel as channel:
            grpc.channel_ready_future(channel).result(10)
        other.mkdir()
        (other / "link").symlink_to(data / "ledger.sqlite")
        (other / "hard").hardlink_to(data / "ledger.sqlite")
        assert server.process
        aliases = (other / "link", other / "hard", Path("data/ledger.sqlite"))
        serve = ("serve", "--listen", "127.0.0.1:0")
        commands = [[*serve, *ledger(name, f"own-{number}")] for number, name in enumerate(aliases)]
        for name, done in zip(aliases, run(tmp_path, *commands), strict=True):
            assert done.returncode == 1
            message = f"the ledger {name} is in use by process {server.process.pid}; stop it"
            assert message in done.stderr
            assert done.stderr.count("\n") == 1
        server.stop(signal.SIGKILL)
        # The operating system released the lock with its process.
        second = ServerProcess(other, bundles[0], ledger=f"sqlite:///{data}/ledger.sqlite")
        with second:
            pass


def ledger(name: Path, data: str = "own") -> list[str]:
    return ["--data", data, "--ledger", f"sqlite:///{name}"]


def run(folder: Path, *commands: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
    """Runs `glimpse` commands concurrently."""

    def one(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return run_forked(arguments, folder=folder)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, commands))


def test_commands_use_the_servers_path_of_the_ledger(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    data, hard = tmp_path / "data", tmp_path / "hard"
    with ServerProcess(tmp_path, bundles[0]) as server:
        assert server.process
        holder = f"in use by process {server.process.pid}"
        back_up(sqlite_url(data), tmp_path / "backup", quiet)
        export(sqlite_url(data), tmp_path / "export", quiet)
        create = ("keys", "create", "phone", "--scope", "read")
        direct = ledger(data / "ledger.sqlite")
        restored, imported, created = run(
            tmp_path,
            ("ledger", "restore", "backup", *direct),
            ("ledger", "import", "export", *direct),
            (*create, *direct),
        )
        assert holder in restored.stderr
        assert holder in imported.stderr
        assert not created.returncode, created.stderr
        hard.hardlink_to(data / "ledger.sqlite")
        commands = (create, ("ledger", "backup", "stale"), ("ledger", "verify"))
        for done in run(tmp_path, *((*command, *ledger(hard)) for command in commands)):
            assert done.returncode == 1
            assert f"{holder}, and has 2 names" in done.stderr


def test_damaged_collection_does_not_stop_others(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(tmp_path, bundles[0]) as server:
        with client_of(server) as client:
            for name in ("good", "harmed"):
                client.create_collection(name)
                client.create_label(name, "robin", prompts=["a robin"])
        server.stop()
        with closing(sqlite3.connect(data / "ledger.sqlite")) as connection:
            connection.execute("UPDATE labels SET prompts = '[\"a ro' WHERE collection_id = 'harmed'")
            connection.commit()
        server.start()
        with client_of(server) as client:
            assert [one.id for one in client.list_labels("good")] == ["robin"]
            with pytest.raises(GlimpseError) as caught:
                list(client.list_labels("harmed"))
            assert caught.value.reason == "COLLECTION_UNREADABLE"
        server.stop()
        assert "collection harmed cannot be read from the ledger: the ledger is damaged" in server.log()
        assert "Traceback" not in server.log()
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection:
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'collections'")
    with (data / "ledger.sqlite").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 8)
    [done] = run(tmp_path, ("serve", "--listen", "127.0.0.1:0", "--data", "data"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "database disk image is malformed" in done.stderr
