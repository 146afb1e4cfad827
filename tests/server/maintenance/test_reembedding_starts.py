"""Tests servers that are killed right after a switch and start with the snapshots that exist."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from support.bundles import tiny_image_bundle
from support.reembedding import everything, keeping_collection, pictures, start, switch, until_embedded
from support.server import ServerProcess, Stubs

_COUNT = 60
QUERIES = pictures(range(1_000, 1_012))
_PATIENCE = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    # Both have the same dimension, so that a vector in the wrong space shows only in the answers.
    tiny_image_bundle(tmp_path / "old", "old")
    tiny_image_bundle(tmp_path / "new", "new", seed=3)
    with ServerProcess(
        tmp_path, tmp_path / "old", tmp_path / "new", snapshot_seconds=0.1, snapshot_examples=1
    ) as server:
        yield server


def migrating(server: ServerProcess) -> str:
    """Returns a collection by `old` that is completely embedded by `new` too."""
    stubs = Stubs(server.address)
    birds = keeping_collection(stubs)
    request = col.EnrollExamplesRequest(parent=birds, create_labels=True)
    for number, one in enumerate(pictures(range(_COUNT))):
        request.examples.add(label_id=f"label-{number % 3}", input=one)
    stubs.collections.EnrollExamples(request)
    start(stubs, birds)
    until_embedded(stubs, birds)
    return birds


def snapshots_written(server: ServerProcess, seconds: float) -> None:
    """Restarts the server by a kill, with this time between snapshots; 0: no snapshots."""
    server._environment["GLIMPSE_SNAPSHOT_SECONDS"] = str(seconds)
    restart(server)


def restart(server: ServerProcess) -> None:
    assert server.process
    server.process.kill()
    server.stop()
    server.start()


def wait_for_snapshot(server: ServerProcess, name: str) -> Path:
    """Waits for a snapshot of the collection's present revision."""
    record = Stubs(server.address).collections.GetCollection(col.GetCollectionRequest(name=name)).collection
    home = server.folder / "data" / "snapshots" / name.rpartition("/")[2]
    ends = time.monotonic() + _PATIENCE
    while True:
        found = [file.parent for file in home.glob("[0-9]*/manifest.json")]
        if newest := [folder for folder in found if int(folder.name) >= record.revision]:
            return newest[0]
        assert time.monotonic() < ends, found
        time.sleep(0.02)


def answers(server: ServerProcess, name: str) -> tuple[list[object], list[object]]:
    """Returns every example with its vector, and the answers on images after the fit."""
    stubs = Stubs(server.address)
    check = stubs.collections.GetCollectionReport(col.GetCollectionReportRequest(name=name))
    options = cls.ClassifyOptions(min_revision=check.revision, top_k=10, evidence=5)
    request = cls.ClassifyRequest(collections=[name], inputs=QUERIES, options=options)
    results: list[object] = []
    for result in stubs.classification.Classify(request).results:
        [one] = result.classifications
        labels = sorted((label.label_id, round(label.probability, 4)) for label in one.labels)
        near = [(found.example, round(found.similarity, 5)) for found in one.evidence]
        results.append((one.decision, one.head, labels, near))
    vectors: list[object] = [(one.name, one.vector.embedding_space, one.vector.data) for one in everything(stubs, name)]
    return vectors, results


def test_server_killed_right_after_a_switch_starts_with_the_new_vectors(server: ServerProcess) -> None:
    birds = migrating(server)
    before = wait_for_snapshot(server, birds)
    snapshots_written(server, 0)
    assert f"examples from snapshot {before.name}" in server.log()
    switch(Stubs(server.address), birds, "new")
    now = answers(server, birds)
    restart(server)
    assert f"ignoring snapshot {before.name}: it has another embedding space" in server.log()
    assert answers(server, birds) == now


def test_server_killed_right_after_switching_back_starts_with_the_old_vectors(server: ServerProcess) -> None:
    birds = migrating(server)
    at_first = answers(server, birds)
    wait_for_snapshot(server, birds)
    switch(Stubs(server.address), birds, "new")
    between = wait_for_snapshot(server, birds)
    switched = answers(server, birds)
    assert switched != at_first
    snapshots_written(server, 0)
    assert f"examples from snapshot {between.name}" in server.log()
    assert answers(server, birds) == switched
    switch(Stubs(server.address), birds, "old")
    restart(server)
    assert f"ignoring snapshot {between.name}: it has another embedding space" in server.log()
    assert answers(server, birds) == at_first


def test_snapshot_from_before_two_switches_is_complete_and_in_the_right_space(server: ServerProcess) -> None:
    birds = migrating(server)
    before = wait_for_snapshot(server, birds)
    snapshots_written(server, 0)
    stubs = Stubs(server.address)
    switch(stubs, birds, "new")
    late = col.EnrollExamplesRequest(parent=birds, create_labels=True)
    late.examples.add(
        label_id="late", input=pictures([500])[0]
    )  # embedded by `new` now, and by `old` in the background
    stubs.collections.EnrollExamples(late)
    switch(stubs, birds, "old")
    now = answers(server, birds)
    assert len(now[0]) == _COUNT + 1
    restart(server)
    assert before.exists()
    assert answers(server, birds) == now


def test_files_of_vectors_in_the_other_space_are_not_linked(server: ServerProcess) -> None:
    birds = migrating(server)
    wait_for_snapshot(server, birds)
    for backbone in ("new", "old"):
        switch(Stubs(server.address), birds, backbone)
        written = wait_for_snapshot(server, birds)
        now = answers(server, birds)
        restart(server)
        assert f"{_COUNT} examples from snapshot {written.name}" in server.log()
        assert answers(server, birds) == now
