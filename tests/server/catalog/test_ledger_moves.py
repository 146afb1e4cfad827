"""Tests backups during writes, and equal answers by another server on another database."""

import itertools
import threading
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from glimpse.client import Client, NewExample, Vector
from glimpse.ledger import LedgerError, sqlite_url
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.parquet import export, import_
from glimpse.ledger.maintenance.verify import verify
from support.bundles import tiny_image_bundle
from support.full_ledger import everything, quiet
from support.postgres import Postgres
from support.server import ServerProcess


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    tiny_image_bundle(folder, "tiny")
    return folder


def vector(number: int, space: str) -> Vector:
    values = np.random.default_rng(number).normal(size=8).astype("<f4")
    return Vector(values / np.linalg.norm(values), space)


class Load:
    """Enrolls numbered examples from several threads, and sometimes deletes one."""

    def __init__(self, address: str, space: str) -> None:
        self.acknowledged: set[str] = set()
        self.deleted: set[str] = set()
        self.errors: list[Exception] = []
        self._client, self._space = Client(address, timeout=60), space
        self._stopped, self._many = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._many.wait(60), self.errors
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._client.close()
        assert not self.errors, self.errors[:3]

    def _run(self, caller: int) -> None:
        try:
            for number in itertools.count(caller * 1_000_000):
                if self._stopped.is_set():
                    return
                given = [NewExample(vector(number, self._space), f"label-{number % 4}")]
                done = self._client.enroll("birds", given, create_labels=True)
                name = done.results[0].unwrap().name
                if number % 10 == 9:
                    self.deleted.add(name)
                    self._client.delete_example(name)
                else:
                    self.acknowledged.add(name)
                if len(self.acknowledged) > 50:
                    self._many.set()
        except Exception as error:
            self.errors.append(error)
            self._many.set()


def names(url: str) -> set[str]:
    rows = everything(url)["examples"]
    return {f"collections/{row[1]}/examples/{row[2]}" for row in rows}


def answers(server: ServerProcess) -> list[object]:
    """Returns a server's description of the collection, and its classifications before and after the fit."""
    with Client(server.address, timeout=60) as client:
        collection = client.get_collection("birds")
        queries = [vector(5_000_000 + number, collection.embedding_space) for number in range(20)]
        client.collection_report("birds")  # wait for the fit
        found = [one.unwrap() for one in client.classify("birds", queries, evidence=3)]
        results = [(one.label, one.decision, [(near.example, near.label) for near in one.evidence]) for one in found]
        return [collection, sorted(label.id for label in client.list_labels("birds")), results]


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_backup_under_load_is_a_prefix_of_the_ledger_and_answers_alike(
    source: str, database: Postgres, bundle: Path, tmp_path: Path
) -> None:
    urls = {"sqlite": sqlite_url(tmp_path / "data"), "postgresql": database.database()}
    here = urls[source]
    there = database.database() if source == "sqlite" else f"sqlite:///{tmp_path}/moved.sqlite"
    with ServerProcess(tmp_path, bundle, ledger=here) as server:
        with Client(server.address) as client:
            space = client.create_collection("birds").embedding_space
        with Load(server.address, space) as load:
            before, gone = set(load.acknowledged), set(load.deleted)
            copied = back_up(here, tmp_path / "saved", quiet)
            export(here, tmp_path / "out", quiet)
            assert not verify(here, quiet)
            with pytest.raises(LedgerError, match="in use"):
                restore(tmp_path / "saved", here, quiet)
        saved = names(f"sqlite:///{tmp_path}/saved")
        assert before <= saved <= load.acknowledged | load.deleted
        assert copied.head.revision >= len(before) + 2 * len(gone) - 3
        wanted = answers(server)
    # A server writes what it counted when it stops.
    back_up(here, tmp_path / "last", quiet)
    restore(tmp_path / "last", there, quiet)
    assert everything(there) == everything(here)
    with ServerProcess(tmp_path, bundle, ledger=there) as server:
        assert answers(server) == wanted
    import_(tmp_path / "out", f"sqlite:///{tmp_path}/imported.sqlite", quiet)
    assert before <= names(f"sqlite:///{tmp_path}/imported.sqlite") <= load.acknowledged | load.deleted
