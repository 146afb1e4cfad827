"""Tests UpdateExamples and DeleteExamples: one change, all or nothing, with the field at fault."""

from collections.abc import Sequence

import grpc
import pytest

from glimpse.v1 import collection_service_pb2 as col
from support.indexes import make_index
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import ROWS, Vectors, blobs, named

Code = grpc.StatusCode


@pytest.fixture
def stubs(both_stubs: Stubs) -> Stubs:
    """Every test of this module runs over gRPC and over HTTP/JSON."""
    return both_stubs


def names_of(vectors: Vectors) -> list[str]:
    return [one.name for one in listed(vectors)]


def listed(vectors: Vectors) -> list[col.Example]:
    request = col.ListExamplesRequest(parent=vectors.name, page_size=1000, include_vector=True)
    return list(vectors.stubs.collections.ListExamples(request).examples)


def update(vectors: Vectors, names: Sequence[str], **values: object) -> col.UpdateExamplesResponse:
    request = col.UpdateExamplesRequest(parent=vectors.name, names=names, example=col.Example(**values))  # type: ignore[arg-type]
    request.update_mask.paths.extend(values)
    response: col.UpdateExamplesResponse = vectors.stubs.collections.UpdateExamples(request)
    return response


def delete(vectors: Vectors, names: Sequence[str]) -> int:
    request = col.DeleteExamplesRequest(parent=vectors.name, names=names)
    return int(vectors.stubs.collections.DeleteExamples(request).revision)


def test_relabelled_examples_classify_as_if_they_were_enrolled_so(vectors: Vectors) -> None:
    rows, swapped = [0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]
    vectors.enroll(blobs(rows), named(rows))
    before = listed(vectors)
    first, second = [one.name for one in before[:3]], [one.name for one in before[3:]]
    assert update(vectors, first, label_id="l1").updated_count == 3
    written = update(vectors, second, label_id="l0", domain=" garden ", group="clip", metadata={"by": "ann"})
    after = listed(vectors)
    assert [one.label_id for one in after] == named(swapped)
    for old, new in zip(before, after, strict=True):
        for one in (new, old):
            one.ClearField("label_id")
        if new.name in second:
            assert (new.domain, new.group, dict(new.metadata)) == ("garden", "clip", {"by": "ann"})
            for field in ("domain", "group", "metadata"):
                new.ClearField(field)
        assert new == old  # the vector, the digest, the name and the time
    other = Vectors(vectors.stubs)
    other.enroll(blobs(rows), named(swapped), ["", "", "", *["garden"] * 3], groups=["", "", "", *["clip"] * 3])
    # The reports wait until both are fitted.
    assert vectors.report().accuracy.value == pytest.approx(other.report().accuracy.value)
    queries = blobs(rows, seed=1)
    for mine, theirs in zip(
        vectors.classify(queries, min_revision=written.revision), other.classify(queries), strict=True
    ):
        assert mine.label_id == theirs.label_id
        assert mine.labels[0].score == pytest.approx(theirs.labels[0].score, abs=1e-5)
        assert mine.evidence[0].label_id == theirs.evidence[0].label_id


def test_the_same_update_again_writes_nothing(vectors: Vectors) -> None:
    vectors.enroll(blobs([0, 1]), named([0, 1]))
    names = names_of(vectors)
    first = update(vectors, names, label_id="l1")
    again = update(vectors, names, label_id="l1")
    assert (first.updated_count, again.updated_count) == (1, 0)
    assert again.revision == first.revision
    delete(vectors, names[:1])
    assert update(vectors, names[1:], metadata={}).updated_count == 0


def test_an_update_is_refused_as_a_whole_with_the_field_at_fault(vectors: Vectors) -> None:
    vectors.enroll(blobs([0, 0, 1]), named([0, 0, 1]))
    twin = vectors.enroll(blobs([0, 0, 1])[:1], ["l1"]).results[0].example.name  # the same content as the first
    names, other = names_of(vectors), Vectors(vectors.stubs)
    other.enroll(blobs([3]), ["l0"])
    missing, elsewhere = f"{vectors.name}/examples/none", names_of(other)[0]
    before = listed(vectors)
    with refused(Code.ALREADY_EXISTS, "EXAMPLE_EXISTS", "names[1]"):
        update(vectors, [names[1], names[0]], label_id="l1")
    for wrong, code, reason in (
        (missing, Code.NOT_FOUND, "EXAMPLE_NOT_FOUND"),
        (elsewhere, Code.INVALID_ARGUMENT, "INVALID_NAME"),
        ("e1", Code.INVALID_ARGUMENT, "INVALID_NAME"),
        (names[1], Code.INVALID_ARGUMENT, "DUPLICATE_EXAMPLE"),
    ):
        with refused(code, reason, "names[2]"):
            update(vectors, [names[1], twin, wrong], label_id="l0", domain="x")
        with refused(code, reason, "names[2]"):
            delete(vectors, [names[1], twin, wrong])
    for values, reason, field in (
        ({"label_id": "nobody"}, "LABEL_NOT_FOUND", "example.label_id"),
        ({"label_id": ""}, "INVALID_ID", "example.label_id"),
        ({"domain": "x" * 257}, "TOO_LONG", "example.domain"),
        ({"group": "a\0"}, "INVALID_CHARACTER", "example.group"),
        ({"metadata": {"": "x"}}, "TOO_LONG", "example.metadata"),
        ({"content_digest": "x"}, "UNKNOWN_FIELD", "update_mask"),
        ({}, "EMPTY", "update_mask"),
    ):
        with refused(Code.NOT_FOUND if "NOT_FOUND" in reason else Code.INVALID_ARGUMENT, reason, field):
            update(vectors, names, **values)
    for several, reason in (((), "EMPTY"), ([names[0]] * 257, "TOO_MANY")):
        with refused(Code.INVALID_ARGUMENT, reason, "names"):
            update(vectors, several, label_id="l1")
        with refused(Code.INVALID_ARGUMENT, reason, "names"):
            delete(vectors, several)
    assert listed(vectors) == before


def test_many_examples_are_deleted_in_one_change(fitted: Vectors) -> None:
    names, before = names_of(fitted), fitted.report().revision
    assert delete(fitted, names[::2]) == before + 1
    assert names_of(fitted) == names[1::2]
    other = Vectors(fitted.stubs)
    other.enroll(blobs(ROWS)[1::2], named(ROWS)[1::2], measure=True)
    assert fitted.report().accuracy.value == pytest.approx(other.report().accuracy.value)
    with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND", "names[1]"):
        delete(fitted, [names[1], names[0]])


@pytest.fixture
def attached(vectors: Vectors, server: ServerProcess) -> Vectors:
    """Returns a collection of 12 rows of an index, and 4 enrolled examples."""
    indexes = server.folder / "data" / "indexes"
    indexes.mkdir(exist_ok=True)
    index = vectors.name.rpartition("/")[2]
    make_index(indexes / index, vectors.space, blobs([0, 1] * 6), named([0, 1] * 6))
    vectors.stubs.collections.AttachIndex(col.AttachIndexRequest(collection=vectors.name, index=f"indexes/{index}"))
    vectors.enroll(blobs([2, 3] * 2, seed=9), named([2, 3] * 2))
    return vectors


def test_rows_of_an_index_can_be_deleted_and_not_changed(attached: Vectors) -> None:
    rows = [f"{attached.name}/examples/set%2F{row}" for row in (1, 2)]
    [enrolled, *_] = names_of(attached)
    with refused(Code.FAILED_PRECONDITION, "EXAMPLE_IN_INDEX", "names[1]"):
        update(attached, [enrolled, rows[0]], label_id="l0")
    respelled = f"{attached.name}/examples/se%74%2F1"
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_EXAMPLE", "names[2]"):
        delete(attached, [rows[0], enrolled, respelled])
    delete(attached, [rows[0], enrolled, rows[1]])
    left = names_of(attached)
    assert len(left) == 13
    assert not {*rows, enrolled} & {*left}
    collection = attached.stubs.collections.GetCollection(col.GetCollectionRequest(name=attached.name)).collection
    assert (collection.example_count, collection.index.deleted_count) == (13, 2)
