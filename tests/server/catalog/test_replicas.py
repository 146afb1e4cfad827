"""Tests several servers on one PostgreSQL: all answer with what one writes."""

import itertools
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest

from glimpse.client import Client, NewExample, Vector
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.bundles import tiny_image_bundle
from support.callers import Callers
from support.compactions import compact
from support.indexes import make_index
from support.postgres import Postgres, postgres
from support.replicas import Replicas
from support.server import ServerProcess, Stubs
from support.status import refused

Code = grpc.StatusCode
# Each of these tests starts and stops servers.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    tiny_image_bundle(folder, "tiny")
    return folder


@pytest.fixture
def replicas(database: Postgres, bundle: Path, tmp_path: Path) -> Iterator[Replicas]:
    several = Replicas(tmp_path, bundle, database.database(), 3)
    try:
        several.start()
        yield several
    finally:
        several.stop()


def create(stubs: Stubs, name: str = "birds") -> None:
    stubs.collections.CreateCollection(col.CreateCollectionRequest(collection_id=name))


def vector(number: int, space: str = "") -> types_pb2.Input:
    row = np.random.default_rng(number).normal(size=8).astype("<f4")
    row /= np.linalg.norm(row)
    return types_pb2.Input(vector=types_pb2.Vector(data=row.tobytes(), embedding_space=space))


def enroll(stubs: Stubs, label: str, numbers: Sequence[int], name: str = "birds") -> col.EnrollExamplesResponse:
    space = stubs.collections.GetCollection(col.GetCollectionRequest(name=f"collections/{name}"))
    given = [
        col.NewExample(label_id=label, input=vector(number, space.collection.embedding_space)) for number in numbers
    ]
    request = col.EnrollExamplesRequest(parent=f"collections/{name}", examples=given, create_labels=True)
    response: col.EnrollExamplesResponse = stubs.collections.EnrollExamples(request)
    assert not any(result.status.code for result in response.results), response
    return response


def listed(stubs: Stubs, name: str = "birds") -> list[tuple[str, str]]:
    """Returns the name and label of every example, in order."""
    found, token = [], ""
    while True:
        request = col.ListExamplesRequest(parent=f"collections/{name}", page_size=1000, page_token=token)
        page = stubs.collections.ListExamples(request)
        found += [(example.name, example.label_id) for example in page.examples]
        if not (token := page.next_page_token):
            return found


def find_each(stubs: Stubs, numbers: Sequence[int], revision: int) -> list[str]:
    """Returns the name of the example nearest to each vector, at the revision or later."""
    found: list[str] = []
    for first in range(0, len(numbers), 256):
        inputs = [vector(number, space_of(stubs)) for number in numbers[first : first + 256]]
        request = cls.SearchExamplesRequest(
            collection="collections/birds", inputs=inputs, top_k=1, min_revision=revision
        )
        results = stubs.classification.SearchExamples(request, timeout=60).results
        found += [result.neighbors[0].example for result in results]
    return found


def search(stubs: Stubs, number: int, revision: int, name: str = "birds", timeout: float = 10) -> list[str]:
    """Returns the names of the nearest examples, at the revision or later."""
    collection = stubs.collections.GetCollection(col.GetCollectionRequest(name=f"collections/{name}")).collection
    inputs = [vector(number, collection.embedding_space)]
    request = cls.SearchExamplesRequest(
        collection=f"collections/{name}", inputs=inputs, top_k=1000, min_revision=revision
    )
    [result] = stubs.classification.SearchExamples(request, timeout=timeout).results
    assert not result.status.code, result
    return [one.example for one in result.neighbors]


def test_another_server_reads_a_write_at_its_revision(replicas: Replicas) -> None:
    a, b, c = replicas.stubs
    create(a)
    for number in range(20):
        written = enroll((a, b, c)[number % 3], f"label-{number % 4}", [number])
        for reader in (a, b, c):
            assert search(reader, number, written.revision)[0] == written.results[0].example.name
    assert len(listed(c)) == 20


def test_calls_see_what_another_server_committed(replicas: Replicas) -> None:
    a, b, _ = replicas.stubs
    for number in range(20):
        name = f"made-{number}"
        create(a, name)
        assert b.collections.GetCollection(col.GetCollectionRequest(name=f"collections/{name}")).collection.revision
        with refused(Code.ALREADY_EXISTS, "COLLECTION_EXISTS", "collection_id"):
            create(b, name)
        b.collections.CreateLabel(col.CreateLabelRequest(parent=f"collections/{name}", label_id="wren"))
        with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "label_id"):
            a.collections.CreateLabel(col.CreateLabelRequest(parent=f"collections/{name}", label_id="wren"))


def test_every_kind_of_change_arrives_at_another_server(replicas: Replicas) -> None:
    a, b, _ = replicas.stubs
    create(a)
    first = enroll(a, "robin", range(5))
    enroll(a, "wren", range(5, 8))
    b.collections.DeleteExample(col.DeleteExampleRequest(name=first.results[0].example.name))
    a.collections.DeleteLabel(col.DeleteLabelRequest(name="collections/birds/labels/wren", force=True))
    b.collections.CreateLabel(
        col.CreateLabelRequest(
            parent="collections/birds", label_id="wren", label=col.Label(role=col.LabelRole.LABEL_ROLE_NEGATIVE)
        )
    )
    enroll(a, "wren", [9])
    names = [result.example.name for result in first.results]
    update = col.UpdateExamplesRequest(parent="collections/birds", names=names[1:3])
    update.example.label_id, update.example.domain = "wren", "garden"
    update.update_mask.paths.extend(["label_id", "domain"])
    assert b.collections.UpdateExamples(update).updated_count == 2
    a.collections.DeleteExamples(col.DeleteExamplesRequest(parent="collections/birds", names=names[2:4]))
    assert listed(a) == listed(b)
    merged = col.MergeLabelsRequest(parent="collections/birds", label_ids=["robin"], into_label_id="wren")
    with refused(Code.FAILED_PRECONDITION, "LABEL_ROLES_DIFFER", "label_ids"):
        b.collections.MergeLabels(merged)
    enroll(b, "redbreast", [10, 11])
    merged.label_ids[:], merged.into_label_id = ["redbreast"], "robin"
    assert b.collections.MergeLabels(merged).moved_count == 2
    a.collections.DeleteExamples(
        col.DeleteExamplesRequest(parent="collections/birds", names=[name for name, _ in listed(a)[-2:]])
    )
    assert listed(a) == listed(b)
    changed = col.Collection(name="collections/birds", display_name="Birds")
    changed.policy.match_threshold = 0.9
    request = col.UpdateCollectionRequest(collection=changed)
    request.update_mask.paths.extend(["display_name", "policy.match_threshold"])
    revision = b.collections.UpdateCollection(request).revision
    found = [stubs.collections.GetCollection(col.GetCollectionRequest(name="collections/birds")) for stubs in (a, b)]
    assert found[0] == found[1]
    assert (found[0].collection.revision, found[0].collection.example_count) == (revision, 3)
    labels = [stubs.collections.ListLabels(col.ListLabelsRequest(parent="collections/birds")) for stubs in (a, b)]
    assert labels[0] == labels[1]
    assert search(a, 0, revision) == search(b, 0, revision)
    a.collections.DeleteCollection(col.DeleteCollectionRequest(name="collections/birds", force=True))
    create(b)
    enroll(a, "robin", [1])
    assert len(listed(b)) == len(listed(a)) == 1


def test_every_server_reports_the_decisions_of_all(replicas: Replicas) -> None:
    create(replicas.stubs[0])
    revision = enroll(replicas.stubs[0], "robin", range(3)).revision
    options = cls.ClassifyOptions(min_revision=revision)
    for number, stubs in enumerate(replicas.stubs, 1):
        inputs = [vector(place, space_of(stubs)) for place in range(number)]
        stubs.classification.Classify(
            cls.ClassifyRequest(collections=["collections/birds"], inputs=inputs, options=options)
        )

    def reported() -> list[int]:
        request = col.GetDecisionCountsRequest(name="collections/birds")
        days = [stubs.collections.GetDecisionCounts(request).days for stubs in replicas.stubs]
        return [sum(day.match + day.unknown + day.ambiguous for day in several) for several in days]

    end = time.monotonic() + 60
    while reported() != [6, 6, 6]:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_missing_revision_is_unavailable_with_a_retry_delay(replicas: Replicas) -> None:
    a, *_ = replicas.stubs
    create(a)
    enroll(a, "robin", [1])
    with refused(Code.UNAVAILABLE, "REVISION_NOT_REACHED", "min_revision") as refusal:
        search(a, 1, 1_000, timeout=1)
    assert refusal.retry_delay


def test_request_repeated_at_another_server_enrolls_once(replicas: Replicas) -> None:
    a, b, _ = replicas.stubs
    create(a)
    space = a.collections.GetCollection(col.GetCollectionRequest(name="collections/birds")).collection.embedding_space
    request = col.EnrollExamplesRequest(parent="collections/birds", create_labels=True, request_id="once")
    request.examples.add(label_id="robin", input=vector(1, space))
    first, second = (stubs.collections.EnrollExamples(request) for stubs in (a, b))
    assert first.results[0].example == second.results[0].example
    assert (first.revision, second.results[0].duplicate) == (second.revision, False)
    assert len(listed(b)) == 1


def test_server_reads_without_its_database_and_writes_when_it_returns(bundle: Path, tmp_path: Path) -> None:
    with postgres() as database, ServerProcess(tmp_path, bundle, ledger=database.database()) as server:
        stubs = Stubs(server.address)
        create(stubs)
        written = enroll(stubs, "robin", [1])
        space = stubs.collections.GetCollection(col.GetCollectionRequest(name="collections/birds")).collection
        inputs = [vector(1, space.embedding_space)]
        database.stop(signal.SIGQUIT)
        request = cls.ClassifyRequest(collections=["collections/birds"], inputs=inputs, options=cls.ClassifyOptions())
        assert stubs.classification.Classify(request).results[0].classifications[0].label_id == "robin"
        with refused(Code.UNAVAILABLE, "LEDGER_UNAVAILABLE") as refusal:
            enroll(stubs, "robin", [2])
        assert refusal.retry_delay
        database.start()
        end = time.monotonic() + 30
        while True:
            try:
                again = enroll(stubs, "robin", [2])
                break
            except grpc.RpcError as error:
                if error.code() is not Code.UNAVAILABLE or time.monotonic() > end:
                    raise
                time.sleep(0.2)
        assert again.revision == written.revision + 1
        assert len(listed(stubs)) == 2
        stubs.channel.close()


class Load(Callers):
    """Enrolls, searches and retries from several threads until it is stopped."""

    def __init__(self, replicas: Replicas, space: str, count: int = 3) -> None:
        self.errors: list[str] = []
        self.acknowledged: dict[int, str] = {}  # by the number of the vector
        addresses = ",".join(server.address for server in replicas.servers)
        self._client = Client(f"ipv4:{addresses}")  # including the client's own retries
        self._space = space
        super().__init__(count)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._client.close()

    def run(self, writer: int) -> None:
        for number in itertools.count(1_000_000 * writer):
            if self.stopped.is_set():
                return
            try:
                self._once(number, f"label-{writer}")
            except Exception as error:
                self.errors.append(repr(error))

    def _once(self, number: int, label: str) -> None:
        """Enrolls once and searches at the returned revision, at any server."""
        given = Vector(np.frombuffer(vector(number).vector.data, "<f4"), self._space)
        done = self._client.enroll("birds", [NewExample(given, label)], create_labels=True)
        name = done.results[0].unwrap().name
        self.acknowledged[number] = name
        [found] = self._client.search_examples("birds", [given], top_k=1, min_revision=done.revision)
        assert found.unwrap()[0].example == name


def check_all(replicas: Replicas, load: Load) -> None:
    """Checks that every server holds and finds each acknowledged example exactly once, and nothing else."""
    assert not load.errors, load.errors[:3]
    assert load.acknowledged
    numbers, names = list(load.acknowledged), list(load.acknowledged.values())
    get = col.GetCollectionRequest(name="collections/birds")
    head = replicas.stubs[0].collections.GetCollection(get).collection.revision
    for stubs in replicas.stubs:
        assert sorted(name for name, _ in listed(stubs)) == sorted(names)
        assert stubs.collections.GetCollection(get).collection.example_count == len(names)
        assert find_each(stubs, numbers, head) == names


def test_a_rolling_restart_loses_no_request(replicas: Replicas) -> None:
    create(replicas.stubs[0])
    with Load(replicas, space_of(replicas.stubs[0])) as load:
        for server in replicas.servers:
            time.sleep(0.5)
            assert server.stop() == 0
            server.start()
    check_all(replicas, load)


def test_a_restart_of_all_at_once_loses_no_request(replicas: Replicas) -> None:
    """No server listens for some seconds, as when the only server restarts."""
    create(replicas.stubs[0])
    with Load(replicas, space_of(replicas.stubs[0])) as load:
        time.sleep(0.5)
        for server in replicas.servers:
            assert server.stop() == 0
        for server in replicas.servers:
            server.start()
    check_all(replicas, load)


def test_replicas_killed_again_and_again_lose_nothing(replicas: Replicas) -> None:
    create(replicas.stubs[0])
    with Load(replicas, space_of(replicas.stubs[0])) as load:
        for round_ in range(6):
            time.sleep(0.7)
            replicas.servers[round_ % 3].stop(signal.SIGKILL)
            replicas.servers[round_ % 3].start()
    check_all(replicas, load)


def space_of(stubs: Stubs) -> str:
    found = stubs.collections.GetCollection(col.GetCollectionRequest(name="collections/birds")).collection
    return str(found.embedding_space)


def test_attached_index_is_attached_on_every_server(replicas: Replicas, tmp_path: Path) -> None:
    """An index is attached, rows are deleted, another server compacts it, and it is detached."""
    a, b, c = replicas.stubs
    create(a)
    rows = np.stack([np.frombuffer(vector(number).vector.data, "<f4") for number in range(50)])
    make_index(tmp_path / "indexes" / "base", space_of(a), rows, [f"label-{row % 5}" for row in range(50)])
    attach = col.AttachIndexRequest(collection="collections/birds", index="indexes/base")
    revision = a.collections.AttachIndex(attach).revision
    assert search(b, 7, revision)[0].endswith("set%2F7")
    b.collections.DeleteExample(col.DeleteExampleRequest(name="collections/birds/examples/set%2F7"))
    written = enroll(c, "label-0", [100])
    found = [search(stubs, 7, written.revision) for stubs in replicas.stubs]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 50
    compacted = compact(c, "collections/birds")
    index = c.collections.GetCollection(col.GetCollectionRequest(name="collections/birds")).collection.index
    assert (index.vector_count, index.deleted_count) == (50, 0)
    assert [search(stubs, 7, compacted.revision) for stubs in replicas.stubs] == found
    gone = a.collections.DetachIndex(col.DetachIndexRequest(collection="collections/birds")).revision
    assert [search(stubs, 7, gone) for stubs in replicas.stubs] == [[], [], []]
