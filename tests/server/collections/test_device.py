"""A real server that searches enrolled examples on a device answers as if it compared every vector itself."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from glimpse.index import Vectors
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.active_work import active_work
from support.bundles import tiny_dual_bundle
from support.device_server import use_device
from support.reembedding import everything, keeping_collection, pictures, space_of, start, switch, until_embedded
from support.server import ServerProcess, Stubs
from support.wait import soon

TOP_K, QUERIES, CALLERS = 7, 5, 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("device")
    tiny_dual_bundle(folder / "old", "old")
    tiny_dual_bundle(folder / "new", "new", dimension=12, size=24, seed=3)
    server = ServerProcess(folder, folder / "old", folder / "new", snapshot_seconds=0.2, snapshot_examples=10)
    server.prepare = use_device
    with server:
        yield server


class Changing:
    """A collection that changes, and a comparison of its answers with all of its vectors."""

    def __init__(self, stubs: Stubs, seed: int) -> None:
        self.stubs, self.name, self.random = stubs, keeping_collection(stubs), random.Random(seed)
        self.rng, self.next, self.backbone = np.random.default_rng(seed), 1_000 * seed, "old"
        self.present = list[str]()

    def enroll(self, count: int) -> None:
        inputs, label = pictures(range(self.next, self.next + count)), f"label-{self.random.randrange(4)}"
        self.next += count
        new = [col.NewExample(label_id=label, input=item) for item in inputs]
        request = col.EnrollExamplesRequest(parent=self.name, examples=new, create_labels=True)
        self.present += [result.example.name for result in self.stubs.collections.EnrollExamples(request).results]

    def delete(self, count: int) -> None:
        for name in self.random.sample(self.present, min(count, len(self.present))):
            self.stubs.collections.DeleteExample(col.DeleteExampleRequest(name=name))
            self.present.remove(name)

    def delete_label(self) -> None:
        label_id = everything(self.stubs, self.name)[0].label_id
        request = col.DeleteLabelRequest(name=f"{self.name}/labels/{label_id}", force=True)
        self.stubs.collections.DeleteLabel(request)
        self.present = [example.name for example in everything(self.stubs, self.name)]

    def check(self) -> None:
        examples = everything(self.stubs, self.name)
        assert sorted(example.name for example in examples) == sorted(self.present)
        vectors = np.stack([np.frombuffer(example.vector.data, "<f4") for example in examples])
        queries = self.rng.normal(size=(QUERIES, vectors.shape[1])).astype(np.float32)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        for result, cosines in zip(self.search(queries), queries @ vectors.T, strict=True):
            nearest = np.argsort(-cosines, kind="stable")[:TOP_K]
            assert np.allclose([found.similarity for found in result.neighbors], cosines[nearest], atol=1e-5)
            assert [found.example for found in result.neighbors] == [examples[row].name for row in nearest]

    def search(self, queries: Vectors) -> Sequence[cls.SearchExamplesResult]:
        space = space_of(self.stubs, self.backbone)
        inputs = [
            types_pb2.Input(vector=types_pb2.Vector(data=query.tobytes(), embedding_space=space)) for query in queries
        ]
        request = cls.SearchExamplesRequest(collection=self.name, inputs=inputs, top_k=TOP_K)
        return self.stubs.classification.SearchExamples(request).results

    def change(self) -> None:
        if self.random.random() < 0.5:
            self.enroll(self.random.randint(1, 20))
        else:
            self.delete(8)
        self.check()


def searches(server: ServerProcess) -> int:
    return server.log().count("device: search")


def snapshot_taken(server: ServerProcess, changing: Changing) -> None:
    request = col.GetCollectionRequest(name=changing.name)
    revision = changing.stubs.collections.GetCollection(request).collection.revision
    folder = server.folder / "data" / "snapshots"
    soon(lambda: any(int(path.parent.name) >= revision for path in folder.glob("*/[0-9]*/manifest.json")), 30)


def test_answers_are_exact_through_changes_reembedding_snapshot_and_restart(server: ServerProcess) -> None:
    changing = Changing(Stubs(server.address), 1)
    changing.enroll(40)
    for _ in range(6):
        changing.change()
    before = searches(server)
    assert before
    start(changing.stubs, changing.name)
    changing.change()
    until_embedded(changing.stubs, changing.name)
    switch(changing.stubs, changing.name, "new")
    changing.backbone = "new"
    for _ in range(3):
        changing.change()
    changing.delete_label()
    changing.enroll(20)
    changing.check()
    assert searches(server) > before
    snapshot_taken(server, changing)
    changing.enroll(5)  # the ledger has more than the snapshot
    assert server.process
    server.process.kill()
    server.stop()
    server.start()
    changing.stubs, before = Stubs(server.address), searches(server)
    for _ in range(3):
        changing.change()
    assert searches(server) > before
    switch(changing.stubs, changing.name, "old")
    changing.backbone = "old"
    changing.present = [example.name for example in everything(changing.stubs, changing.name)]
    changing.check()


def test_callers_at_the_same_time_share_searches_of_the_device(server: ServerProcess) -> None:
    changing, hold = Changing(Stubs(server.address), 3), server.folder / "data" / "hold"
    changing.enroll(50)
    before = searches(server)
    while searches(server) == before:  # until there is a copy
        changing.check()
    queries = changing.rng.normal(size=(CALLERS, 8)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    alone = [changing.search(query[None])[0].neighbors for query in queries]
    before = searches(server)
    hold.touch()
    with ThreadPoolExecutor(CALLERS) as pool:
        together = [pool.submit(changing.search, query[None]) for query in queries]
        soon(lambda: searches(server) > before and active_work(server)["searches"] >= CALLERS, 30)
        hold.unlink()
    assert [found.result()[0].neighbors for found in together] == alone
    assert searches(server) - before < CALLERS
