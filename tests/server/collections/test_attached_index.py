"""Tests attached indexes: their rows behave like enrolled examples, and are available at once."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.compactions import compact, ended
from support.http_calls import TRANSPORTS
from support.indexes import make_index
from support.raw_calls import stubs_over
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import ROWS, Array, Vectors, blobs

Code = grpc.StatusCode
LABELS = [f"l{row}" for row in ROWS]
VECTORS = blobs(ROWS)
QUERIES = blobs(ROWS, seed=1)


class Attached(Vectors):
    """A collection with an attached index, and its calls."""

    def attach(self, index: str) -> col.Collection:
        request = col.AttachIndexRequest(collection=self.name, index=f"indexes/{index}")
        collection: col.Collection = self.stubs.collections.AttachIndex(request, timeout=60).collection
        return collection

    def compact(self) -> col.Collection:
        compaction = compact(self.stubs, self.name)
        assert compaction.state == col.COMPACTION_STATE_DONE, compaction.failure
        return self.now

    def search(self, query: Array, top_k: int = 5, **filters: Sequence[str]) -> list[tuple[str, float]]:
        request = cls.SearchExamplesRequest(collection=self.name, inputs=[self.input(query)], top_k=top_k, **filters)  # type: ignore[arg-type]
        [result] = self.stubs.classification.SearchExamples(request).results
        return [(near.example.rpartition("/")[2], near.similarity) for near in result.neighbors]

    def delete(self, example_id: str) -> None:
        name = f"{self.name}/examples/{example_id}"
        self.stubs.collections.DeleteExample(col.DeleteExampleRequest(name=name))

    def examples(self, page: int = 7, **filters: object) -> list[col.Example]:
        found: list[col.Example] = []
        token = ""
        while True:
            request = col.ListExamplesRequest(parent=self.name, page_size=page, page_token=token, **filters)  # type: ignore[arg-type]
            answer = self.stubs.collections.ListExamples(request)
            found += answer.examples
            if not (token := answer.next_page_token):
                return found

    @property
    def now(self) -> col.Collection:
        return self.stubs.collections.GetCollection(col.GetCollectionRequest(name=self.name)).collection


def name(row: int) -> str:
    return f"set%2F{row}"


@pytest.fixture(scope="module")
def serving(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("attach"), bundles[0], http="127.0.0.1:0") as process:
        yield process


@pytest.fixture
def here(serving: ServerProcess) -> Iterator[Stubs]:
    stubs = Stubs(serving.address)
    yield stubs
    stubs.channel.close()


@pytest.fixture
def indexes(serving: ServerProcess) -> Path:
    folder = serving.folder / "data" / "indexes"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def attached(here: Stubs, indexes: Path) -> Attached:
    """Returns a collection attached to an index of all vectors."""
    collection = Attached(here)
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, VECTORS, LABELS, domains=[("day", "night")[i % 2] for i in range(48)])
    collection.attach(index)
    return collection


def test_rows_are_examples_and_their_labels_labels(attached: Attached) -> None:
    now = attached.now
    assert (now.example_count, now.label_count, now.index.vector_count, now.index.deleted_count) == (48, 4, 48, 0)
    order = np.argsort(-(VECTORS @ QUERIES[3]))[:5]
    found = attached.search(QUERIES[3])
    assert [one for one, _ in found] == [name(row) for row in order]
    assert [cosine for _, cosine in found] == pytest.approx((VECTORS @ QUERIES[3])[order], abs=1e-5)


def test_an_index_with_examples_of_a_composed_label_is_refused(here: Stubs, indexes: Path) -> None:
    collection = Attached(here, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    for label_id, parts in (("part", ()), ("l0", ("part",))):
        label = col.Label(composition=col.Composition(label_ids=parts)) if parts else None
        here.collections.CreateLabel(col.CreateLabelRequest(parent=collection.name, label_id=label_id, label=label))
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, VECTORS, LABELS)
    with refused(Code.FAILED_PRECONDITION, "COMPOSED_LABEL", "index"):
        collection.attach(index)


def test_answers_are_those_of_the_same_examples_enrolled(attached: Attached, here: Stubs) -> None:
    enrolled = Vectors(here)
    enrolled.enroll(VECTORS, LABELS, [("day", "night")[i % 2] for i in range(48)], measure=True)
    attached.report()  # waits for the fit of both
    for mine, theirs in zip(attached.classify(QUERIES), enrolled.classify(QUERIES), strict=True):
        assert (mine.label_id, mine.decision, mine.head, mine.calibrated) == (
            theirs.label_id,
            theirs.decision,
            theirs.head,
            theirs.calibrated,
        )
        assert mine.probability == pytest.approx(theirs.probability, abs=1e-4)
        assert mine.evidence[0].example == f"{attached.name}/examples/{mine.evidence[0].example.rpartition('/')[2]}"
        assert mine.evidence[0].similarity == pytest.approx(theirs.evidence[0].similarity, abs=1e-5)
    assert attached.report().accuracy.value == pytest.approx(enrolled.report().accuracy.value)


def test_a_row_is_an_example_by_name(attached: Attached) -> None:
    request = col.GetExampleRequest(name=f"{attached.name}/examples/{name(5)}", include_vector=True)
    example = attached.stubs.collections.GetExample(request).example
    assert (example.label_id, example.domain, dict(example.metadata)) == (LABELS[5], "night", {"file": "set/5.jpg"})
    assert np.frombuffer(example.vector.data, "<f4") == pytest.approx(VECTORS[5], abs=1e-6)
    assert example.content_digest.startswith("sha256:")
    with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND"):
        attached.delete("set%2F48")


def test_examples_enrolled_later_are_used_with_the_index(attached: Attached) -> None:
    response = attached.enroll(QUERIES[:2], ["new", "l0"])
    [new, _] = [result.example.name.rpartition("/")[2] for result in response.results]
    assert attached.search(QUERIES[0], 1)[0][0] == new
    assert attached.now.example_count == 50
    listed = [example.name.rpartition("/")[2] for example in attached.examples()]
    assert listed[0] == new
    assert listed[2:] == [name(row) for row in range(48)]
    of_label = [example.label_id for example in attached.examples(label_id="l0")]
    assert of_label == ["l0"] * 13


def test_filters(attached: Attached) -> None:
    attached.enroll(QUERIES[:1], ["l3"], ["dusk"])
    rows = [row for row in range(48) if ROWS[row] == 2 and row % 2]
    best = sorted(rows, key=lambda row: -(VECTORS[row] @ QUERIES[0]))[:4]
    found = attached.search(QUERIES[0], 4, label_ids=["l2"], domains=["night"])
    assert [one for one, _ in found] == [name(row) for row in best]
    assert len(attached.search(QUERIES[0], 10, domains=["dusk"])) == 1
    assert attached.search(QUERIES[0], 10, domains=["never"]) == []


def test_deleted_rows_stay_deleted(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as process:
        stubs = Stubs(process.address)
        collection = Attached(stubs)
        make_index(tmp_path / "data" / "indexes" / "blobs", collection.space, VECTORS, LABELS)
        collection.attach("blobs")
        nearest = collection.search(QUERIES[0], 1)[0][0]
        collection.delete(nearest)
        with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND"):
            collection.delete(nearest)
        request = col.DeleteLabelRequest(name=f"{collection.name}/labels/l3", force=True)
        stubs.collections.DeleteLabel(request)
        collection.report()  # waits for the fit
        before = [one.label_id for one in collection.classify(QUERIES)]
        for _ in range(2):
            left = collection.search(QUERIES[0], 48)
            assert len(left) == 35
            assert nearest not in dict(left)
            assert collection.now.index.deleted_count == 13
            assert "l3" not in {one.label_id for one in collection.classify(QUERIES)}
            stubs.channel.close()
            process.stop()
            process.start()
            collection.stubs = stubs = Stubs(process.address)
        collection.report()
        assert [one.label_id for one in collection.classify(QUERIES)] == before
        stubs.channel.close()


def test_deleting_a_row_reverses_its_effect(attached: Attached, here: Stubs, indexes: Path) -> None:
    others = Attached(here)
    kept = [row for row in range(48) if row % 3]
    make_index(indexes / "kept", others.space, VECTORS[kept], [LABELS[row] for row in kept])
    others.attach("kept")
    for row in range(0, 48, 3):
        attached.delete(name(row))
    attached.report()
    others.report()
    mine, theirs = attached.classify(QUERIES), others.classify(QUERIES)
    assert [one.label_id for one in mine] == [one.label_id for one in theirs]
    assert [one.labels[0].score for one in mine] == pytest.approx([one.labels[0].score for one in theirs], rel=1e-3)


def test_compaction_merges_rows_and_enrolled_examples(attached: Attached) -> None:
    response = attached.enroll(QUERIES[:8], ["new"] * 4 + ["l0"] * 4, ["dusk"] * 8, groups=["clip 1", ""] * 4)
    enrolled = [result.example for result in response.results]
    attached.delete(name(0))
    attached.delete(enrolled[7].name.rpartition("/")[2])
    attached.report()
    before = attached.classify(blobs(ROWS, seed=2))
    found = attached.search(QUERIES[0], 60)
    now = attached.compact()
    assert now.index.name == f"indexes/{attached.name.rpartition('/')[2]}.c1"
    assert (now.index.vector_count, now.index.deleted_count, now.example_count) == (54, 0, 54)
    after = attached.search(QUERIES[0], 60)
    assert {one for one, _ in after} == {one for one, _ in found}
    assert [cosine for _, cosine in after] == pytest.approx([cosine for _, cosine in found], abs=1e-5)
    for old, new in zip(before, attached.classify(blobs(ROWS, seed=2)), strict=True):
        assert (old.label_id, old.decision, old.evidence[0].example) == (
            new.label_id,
            new.decision,
            new.evidence[0].example,
        )
    again = attached.stubs.collections.GetExample(col.GetExampleRequest(name=enrolled[2].name)).example
    assert again == enrolled[2]  # its domain, group, modality, digest and time
    assert again.group == "clip 1"
    attached.delete(enrolled[2].name.rpartition("/")[2])
    assert attached.compact().example_count == 53


def test_a_compaction_is_started_once_and_says_how_it_ended(here: Stubs, indexes: Path) -> None:
    many = blobs(list(range(4)) * 4_000, seed=7)
    collection = Attached(here)
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, many, [f"l{row % 4}" for row in range(16_000)], factory="Flat")
    collection.attach(index)
    start, get = col.StartCompactionRequest(collection=collection.name), col.GetCompactionRequest()
    get.collection = collection.name
    with refused(Code.NOT_FOUND, "COMPACTION_NOT_FOUND", "collection"):
        here.collections.GetCompaction(get)
    first, second = (here.collections.StartCompaction(start).compaction for _ in range(2))
    assert (first.state, first.collection) == (col.COMPACTION_STATE_RUNNING, collection.name)
    assert not first.HasField("end_time")
    assert second == first
    here.collections.DetachIndex(col.DetachIndexRequest(collection=collection.name))
    failed = ended(here, collection.name)
    assert (failed.state, failed.failure.reason, failed.revision) == (col.COMPACTION_STATE_FAILED, "INDEX_CHANGED", 0)
    assert failed.failure.code == Code.FAILED_PRECONDITION.value[0]
    assert failed.start_time == first.start_time
    assert failed.HasField("end_time")
    with refused(Code.FAILED_PRECONDITION, "NO_INDEX", "collection"):
        here.collections.StartCompaction(start)
    make_index(indexes / "few", collection.space, VECTORS, LABELS)
    collection.attach("few")
    done = compact(here, collection.name)
    assert (done.state, done.revision) == (col.COMPACTION_STATE_DONE, collection.now.revision)
    assert here.collections.GetCompaction(get).compaction == done


def test_calls_are_answered_during_a_compaction(here: Stubs, indexes: Path) -> None:
    many = blobs(list(range(4)) * 4_000, seed=7)
    collection = Attached(here)
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, many, [f"l{row % 4}" for row in range(16_000)], factory="Flat")
    collection.attach(index)
    done, outcome = threading.Event(), list[col.Collection]()

    def fold() -> None:
        try:
            outcome.append(collection.compact())
        finally:
            done.set()

    worker = threading.Thread(target=fold)
    worker.start()
    nearest = collection.search(QUERIES[0], 1, label_ids=["l2"])[0][1]
    asked, enrolled = 0, list[str]()
    while not done.is_set():
        [answer] = collection.classify(QUERIES[:1])
        assert answer.label_id == LABELS[0]
        assert answer.evidence
        # Rows of other labels are deleted too, so the nearest example may be a farther one.
        assert collection.search(QUERIES[0], 1, label_ids=["l2"])[0][1] <= nearest + 1e-6
        if len(enrolled) < 20:
            response = collection.enroll(blobs([1], seed=100 + asked), ["l1"])
            enrolled.append(response.results[0].example.name.rpartition("/")[2])
        if asked < 20:
            collection.delete(name(asked))
        asked += 1
    worker.join()
    assert asked > 1
    assert outcome, "the compaction failed"
    now = collection.now
    assert now.example_count == 16_000 + len(enrolled) - min(asked, 20)
    listed = {example.name.rpartition("/")[2] for example in collection.examples(1_000)}
    assert len(listed) == now.example_count
    assert listed.issuperset(enrolled)
    assert not listed & {name(row) for row in range(min(asked, 20))}


def test_kill_during_a_compaction_loses_nothing(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    many = blobs(list(range(4)) * 20_000, seed=7)
    with ServerProcess(tmp_path, bundles[0]) as process:
        stubs = Stubs(process.address)
        collection = Attached(stubs)
        make_index(tmp_path / "data" / "indexes" / "many", collection.space, many, ["a", "b", "c", "d"] * 20_000)
        collection.attach("many")
        collection.enroll(QUERIES[:3], ["new"] * 3)
        collection.delete(name(9))
        stubs.collections.StartCompaction(col.StartCompactionRequest(collection=collection.name))
        time.sleep(0.1)
        request = col.GetCompactionRequest(collection=collection.name)
        assert stubs.collections.GetCompaction(request).compaction.state == col.COMPACTION_STATE_RUNNING
        process.process.kill()  # type: ignore[union-attr]
        process.stop()
        stubs.channel.close()
        process.start()
        collection.stubs = stubs = Stubs(process.address)
        assert collection.now.example_count == 80_002
        assert collection.search(QUERIES[0], 1)[0][1] == pytest.approx(1.0, abs=1e-5)
        assert collection.compact().example_count == 80_002
        # The killed compaction leaves no files.
        left = sorted(path.name for path in (tmp_path / "data" / "indexes").iterdir())
        assert left == sorted(["many", f"{collection.name.rpartition('/')[2]}.c1"])
        stubs.channel.close()


def test_two_collections_with_one_index_are_compacted_separately(here: Stubs, indexes: Path) -> None:
    one, two = Attached(here), Attached(here)
    # It has the name of a compaction's index, but an operator copied it here, so it stays.
    shared = f"{one.name.rpartition('/')[2]}.c9"
    make_index(indexes / shared, one.space, VECTORS, LABELS)
    outcome = list[col.Collection]()
    for row, collection in enumerate((one, two)):
        collection.attach(shared)
        collection.enroll(blobs([row] * (3 + row), seed=row), [f"new {row}"] * (3 + row))
    workers = [threading.Thread(target=lambda c=c: outcome.append(c.compact())) for c in (one, two)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(now.example_count for now in outcome) == [51, 52]
    assert (indexes / shared / "manifest.json").is_file()
    one.enroll(QUERIES[:1], ["l0"])
    before = one.now.index.name
    after = one.compact().index.name
    assert after != before
    # An index made by a compaction is removed when it is replaced.
    assert not (indexes / before.rpartition("/")[2]).exists()


def test_page_tokens_survive_a_restart_and_name_the_index(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as process:
        stubs = Stubs(process.address)
        first, collection = Attached(stubs), Attached(stubs)
        for one in (first, collection):
            index = one.name.rpartition("/")[2]
            make_index(tmp_path / "data" / "indexes" / index, one.space, VECTORS, LABELS)
            one.attach(index)
        request = col.ListExamplesRequest(parent=collection.name, page_size=20)
        page = stubs.collections.ListExamples(request)
        stubs.channel.close()
        process.stop()
        process.start()
        collection.stubs = stubs = Stubs(process.address)
        request.page_token = page.next_page_token
        rest = stubs.collections.ListExamples(request)
        assert [one.name.rpartition("/")[2] for one in rest.examples] == [name(row) for row in range(20, 40)]
        times = {one.create_time.seconds for one in (*page.examples, *rest.examples)}
        assert len(times) == 1
        assert times.pop() > 1_700_000_000
        collection.delete(name(47))
        collection.compact()
        with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
            stubs.collections.ListExamples(request)
        # Examples keep their creation time.
        assert {one.create_time.seconds for one in collection.examples()} == {rest.examples[0].create_time.seconds}
        stubs.channel.close()


def test_rows_without_a_label_are_searchable_but_never_an_answer(here: Stubs, indexes: Path) -> None:
    collection = Attached(here)
    index = collection.name.rpartition("/")[2]
    labels = [None if row == 3 else f"l{row}" for row in ROWS]
    make_index(indexes / index, collection.space, VECTORS, labels)
    now = collection.attach(index)
    assert (now.example_count, now.label_count) == (48, 3)
    row = ROWS.index(3)
    assert collection.search(VECTORS[row], 1)[0][0] == name(row)
    answer = collection.classify(VECTORS[row : row + 1])[0]
    assert all(near.label_id for near in answer.evidence)
    collection.delete(name(row))
    assert collection.search(VECTORS[row], 1)[0][0] != name(row)


def test_rows_of_a_negative_label_are_negative_examples(here: Stubs, indexes: Path) -> None:
    collection = Attached(here)
    collection.create_label("l3", col.LABEL_ROLE_NEGATIVE)
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, VECTORS, LABELS)
    collection.attach(index)
    answers = collection.classify(VECTORS[np.array(ROWS) == 3])
    assert {answer.decision for answer in answers} == {cls.DECISION_UNKNOWN}
    assert "l3" not in {label.label_id for answer in answers for label in answer.labels}


def test_index_in_another_space_is_refused(here: Stubs, indexes: Path) -> None:
    collection = Attached(here)
    make_index(indexes / "foreign", "0" * 64, VECTORS, LABELS)
    with refused(Code.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH", "index"):
        collection.attach("foreign")
    assert not collection.now.HasField("index")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("index", ["..", "../data", ".hidden", "a/b", "", "a\0b", "x" * 200])
def test_path_as_index_name_is_refused(here: Stubs, serving: ServerProcess, index: str, transport: str) -> None:
    collection = Attached(stubs_over(transport, serving, here))
    with pytest.raises(grpc.RpcError) as caught:
        collection.attach(index)
    assert caught.value.code() is Code.INVALID_ARGUMENT


def test_unusable_index_is_refused_with_the_reason(attached: Attached, here: Stubs, indexes: Path) -> None:
    other = Attached(here)
    with refused(Code.NOT_FOUND, "INDEX_NOT_FOUND", "index"):
        other.attach("nowhere")
    (indexes / "empty").mkdir(exist_ok=True)
    with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE", "index"):
        other.attach("empty")
    broken = make_index(indexes / "broken", other.space, VECTORS, LABELS)
    (broken / "index.faiss").write_bytes((broken / "index.faiss").read_bytes()[:-7])
    with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE", "index"):
        other.attach("broken")
    make_index(indexes / "second", other.space, VECTORS, LABELS)
    with refused(Code.FAILED_PRECONDITION, "INDEX_ATTACHED", "collection"):
        attached.attach("second")
    with refused(Code.FAILED_PRECONDITION, "NO_INDEX", "collection"):
        other.compact()
    before = attached.now
    again = attached.attach(before.index.name.rpartition("/")[2])
    assert again == before


def test_detached_collection_keeps_enrolled_examples(attached: Attached) -> None:
    attached.enroll(QUERIES[:4], ["new"] * 4)
    request = col.DetachIndexRequest(collection=attached.name)
    now = attached.stubs.collections.DetachIndex(request).collection
    assert (now.example_count, now.label_count, now.HasField("index")) == (4, 5, False)
    assert len(attached.search(QUERIES[20], 50)) == 4
    assert {answer.label_id for answer in attached.classify(QUERIES)} == {"new"}
    with refused(Code.FAILED_PRECONDITION, "NO_INDEX", "collection"):
        attached.stubs.collections.DetachIndex(request)


def test_missing_index_does_not_stop_other_collections(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    indexes = tmp_path / "elsewhere"
    with ServerProcess(tmp_path, bundles[0], indexes=indexes) as process:
        stubs = Stubs(process.address)
        lost, whole = Attached(stubs), Attached(stubs)
        make_index(indexes / "blobs", lost.space, VECTORS, LABELS)
        lost.attach("blobs")
        whole.enroll(VECTORS[:4], LABELS[:4])
        lost.enroll(QUERIES[:1], ["l0"])
        stubs.channel.close()
        process.stop()
        shutil.move(indexes / "blobs", tmp_path / "aside")
        process.start()
        stubs = lost.stubs = whole.stubs = Stubs(process.address)
        with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE"):
            lost.classify(QUERIES[:1])
        assert whole.classify(QUERIES[:1])[0].label_id == "l0"
        shown = lost.now
        assert not shown.HasField("index")
        request = col.DetachIndexRequest(collection=lost.name)
        assert stubs.collections.DetachIndex(request).collection.example_count == 1
        assert lost.classify(QUERIES[:1])[0].label_id == "l0"
        stubs.channel.close()


@pytest.mark.parametrize("file", ["labels.parquet", "vectors/part-00000.parquet", "manifest.json", "index.faiss"])
def test_server_starts_with_a_damaged_index(bundles: tuple[Path, Path], tmp_path: Path, file: str) -> None:
    with ServerProcess(tmp_path, bundles[0]) as process:
        stubs = Stubs(process.address)
        broken, whole = Attached(stubs), Attached(stubs)
        index = make_index(tmp_path / "data" / "indexes" / "blobs", broken.space, VECTORS, LABELS)
        broken.attach("blobs")
        whole.enroll(VECTORS[:4], LABELS[:4])
        stubs.channel.close()
        process.stop()
        content = (index / file).read_bytes()
        (index / file).write_bytes(content[: len(content) // 2])
        process.start()
        stubs = broken.stubs = whole.stubs = Stubs(process.address)
        with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE"):
            broken.classify(QUERIES[:1])
        assert whole.classify(QUERIES[:1])[0].label_id == "l0"
        stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=broken.name, force=True))
        stubs.channel.close()


@pytest.mark.parametrize("labels", [[None] * 48, [None if row % 2 else one for row, one in enumerate(LABELS)]])
def test_index_without_labels_is_reported(here: Stubs, indexes: Path, labels: list[str | None]) -> None:
    collection, count = Attached(here), labels.count(None)
    index = collection.name.rpartition("/")[2]
    make_index(indexes / index, collection.space, VECTORS, labels)
    attached = collection.attach(index).index
    assert attached.unlabeled_count == count
    assert attached.searched == "on the processor: FAISS sees no GPU"
    assert f"{count} vectors of the index have no label" in collection.report().advice[0]
    if count == 48:
        assert collection.classify(QUERIES[:1])[0].head_reason == "no label has an example or a prompt"
        assert len(collection.search(QUERIES[0])) == 5


@pytest.mark.parametrize("odd", ["l1 ", "\u00e9", "e\u0301"])
def test_index_with_another_spelling_of_a_label_is_refused(here: Stubs, indexes: Path, odd: str) -> None:
    collection = Attached(here)
    index = collection.name.rpartition("/")[2]
    for one in ("l1", "e\u0301 "):
        here.collections.CreateLabel(col.CreateLabelRequest(parent=collection.name, label_id=one))
    make_index(indexes / index, collection.space, VECTORS, [odd, *LABELS[1:]])
    if odd == "\u00e9":  # the spelling of the collection
        assert collection.attach(index).label_count == 5
        return
    with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE", "index") as refusal:
        collection.attach(index)
    assert "another spelling" in refusal.message
