"""Tests re-embedding while servers are killed: one server on SQLite, two on PostgreSQL."""

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from glimpse.ledger import Ledger
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.bundles import tiny_image_bundle
from support.postgres import postgres
from support.reembedding import (
    Enrolling,
    everything,
    keeping_collection,
    pictures,
    reembedding,
    start,
    switch,
    switch_soon,
    until_embedded,
)
from support.server import ServerProcess, Stubs
from support.wait import soon

_KILLS = 3


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    tiny_image_bundle(folder / "old", "old")
    tiny_image_bundle(folder / "new", "new", dimension=12, size=24, seed=3)
    return folder / "old", folder / "new"


@pytest.fixture
def server(bundles: tuple[Path, Path], tmp_path: Path) -> Iterator[ServerProcess]:
    often = {
        "snapshot_seconds": 0.1,
        "snapshot_examples": 1,
    }  # so that a start uses a snapshot, whatever has changed since
    with ServerProcess(tmp_path, *bundles, **often) as process:
        process.listen = process.address  # clients expect a restarted server at the same address
        yield process


def enroll(stubs: Stubs, name: str, count: int) -> dict[str, int]:
    """Enrolls `count` images; returns their numbers by the names of their examples."""
    found: dict[str, int] = {}
    for first in range(0, count, 100):
        numbers = range(first, min(first + 100, count))
        request = col.EnrollExamplesRequest(parent=name, create_labels=True)
        for number, one in zip(numbers, pictures(numbers), strict=True):
            request.examples.add(label_id=f"label-{number % 3}", input=one)
        results = stubs.collections.EnrollExamples(request).results
        found |= {one.example.name: number for one, number in zip(results, numbers, strict=True)}
    return found


def more_embedded(stubs: Stubs, name: str, count: int) -> int:
    """Waits until more than `count` examples are embedded; returns how many are."""
    soon(lambda: reembedding(stubs, name).embedded_count > count, 60)
    return reembedding(stubs, name).embedded_count


def check_equals_ledger(stubs: Stubs, name: str, acknowledged: dict[str, int]) -> list[col.Example]:
    """Checks that the acknowledged examples exist with vectors of the present backbone, in index and head."""
    collection = stubs.collections.GetCollection(col.GetCollectionRequest(name=name)).collection
    there = everything(stubs, name)
    assert acknowledged.keys() <= {one.name for one in there}
    assert len({(one.label_id, one.content_digest) for one in there}) == len(there) == collection.example_count
    assert {one.vector.embedding_space for one in there} == {collection.embedding_space}
    by_name = {one.name: one.vector for one in there}
    some = list(acknowledged.items())[-200:]
    request = emb.EmbedRequest(backbone=collection.backbone, inputs=pictures(number for _, number in some))
    embedded = [one.vector for one in stubs.embedding.Embed(request).results]
    assert [by_name[one] for one, _ in some] == embedded
    inputs = [types_pb2.Input(vector=one) for one in embedded]
    search = cls.SearchExamplesRequest(collection=name, inputs=inputs, top_k=1, min_revision=collection.revision)
    found = [one.neighbors[0].example for one in stubs.classification.SearchExamples(search).results]
    assert found == [one for one, _ in some]
    asked = cls.ClassifyRequest(collections=[name], inputs=inputs[:1])
    [answer] = stubs.classification.Classify(asked).results[0].classifications
    assert {one.label_id for one in answer.labels} == {one.label_id for one in there}
    return there


def test_reembedding_continues_after_kill_9(server: ServerProcess) -> None:
    stubs = Stubs(server.address)
    birds = keeping_collection(stubs)
    enrolled = enroll(stubs, birds, 400)
    start(stubs, birds)
    done = 0
    for _ in range(2):
        done = more_embedded(stubs, birds, done)
        server.stop(signal.SIGKILL)
        server.start()
        stubs = Stubs(server.address)
        assert reembedding(stubs, birds).embedded_count >= done, "embedded vectors are kept"
    before = everything(stubs, birds)
    until_embedded(stubs, birds)
    switch(stubs, birds, "new")
    check_equals_ledger(stubs, birds, enrolled)
    switch(stubs, birds, "old")
    assert everything(stubs, birds) == before
    check_equals_ledger(stubs, birds, enrolled)


def test_kill_9_around_the_switch_leaves_one_backbone_or_the_other(server: ServerProcess) -> None:
    stubs = Stubs(server.address)
    birds = keeping_collection(stubs)
    enroll(stubs, birds, 50)
    start(stubs, birds)
    until_embedded(stubs, birds)
    with Enrolling(server.address, birds, first=1000) as load:
        for kill in range(_KILLS):
            switcher = threading.Thread(target=switch_to_and_fro, args=(stubs, birds))
            switcher.start()
            load.wait_for(20 * (kill + 1))
            time.sleep(0.05 * kill)
            server.stop(signal.SIGKILL)
            switcher.join()
            server.start()
            stubs = Stubs(server.address)
    load.check()
    check_equals_ledger(stubs, birds, load.acknowledged)
    until_embedded(stubs, birds)
    current = reembedding(stubs, birds).current.backbone
    switch(stubs, birds, "old" if current == "backbones/new" else "new")
    check_equals_ledger(stubs, birds, load.acknowledged)


def switch_to_and_fro(stubs: Stubs, name: str) -> None:
    """Switches to the other backbone and back until the server is killed."""
    for backbone in itertools.cycle(("new", "old")):
        time.sleep(0.2)  # retry enrolments that a switch interrupted
        try:
            switch(stubs, name, backbone)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                return


def test_one_of_two_servers_embeds_and_both_switch(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres()).database()
        servers = []
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            server = ServerProcess(tmp_path / str(number), *bundles, ledger=url, indexes=tmp_path / "indexes")
            servers.append(stack.enter_context(server))
            server.listen = server.address
        a, b = (Stubs(server.address) for server in servers)
        birds = keeping_collection(a)
        enrolled = enroll(a, birds, 600)
        start(b, birds)
        done = more_embedded(b, birds, 0)
        servers[0].stop(signal.SIGKILL)
        more_embedded(b, birds, done + 64)
        servers[0].start()
        a = Stubs(servers[0].address)
        until_embedded(a, birds)
        before = everything(a, birds)
        addresses = ",".join(server.address for server in servers)
        with Enrolling(f"ipv4:{addresses}", birds, first=1000) as load:
            for number, (stubs, backbone) in enumerate([(a, "new"), (b, "old"), (b, "new"), (a, "old"), (b, "new")], 1):
                load.wait_for(10 * number)
                switch_soon(stubs, birds, backbone)
        load.check()
        enrolled |= load.acknowledged
        assert check_equals_ledger(a, birds, enrolled) == check_equals_ledger(b, birds, enrolled)
        until_embedded(b, birds)
        switch(a, birds, "old")
        there = check_equals_ledger(b, birds, enrolled)
        assert there[: len(before)] == before
        assert check_equals_ledger(a, birds, enrolled) == there
        with Ledger.open(url) as ledger:
            counts = [
                change.subject["examples_embedded"] for change in ledger.changes() if change.kind == "embed_shadow"
            ]
        # A switch embeds the last examples itself.
        assert 600 <= sum(counts) <= len(there), "no example is embedded twice"
