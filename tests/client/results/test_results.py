"""Results have ids, rows and short reprs, and no failure goes unnoticed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from glimpse.client import (
    AsyncClient,
    Client,
    EnrollmentFailed,
    Image,
    Input,
    InvalidArgument,
    NewExample,
    Subtree,
    Vector,
)
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

from ..conftest import Script

EVIDENCE = [pb.Evidence(example="collections/a/examples/e", label_id="cat", similarity=0.5)]
SCORES = [pb.LabelScore(label_id="cat", score=1.5, probability=0.75)]


def classification(collection: str, label: str = "cat") -> pb.Classification:
    return pb.Classification(
        collection=f"collections/{collection}",
        decision=pb.DECISION_MATCH,
        label_id=label,
        probability=0.75,
        head=types_pb2.HEAD_LDA,
        labels=SCORES,
        evidence=EVIDENCE,
    )


def answer(script: Script, *classifications: pb.Classification) -> None:
    script.answers["Classify"] = pb.ClassifyResponse(results=[pb.ClassifyResult(classifications=classifications)])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.png", tmp_path / ("a long name " * 15) / ("of a file " * 15), tmp_path / "gone.png"]
    for path in paths[:2]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"file")
    return paths


async def test_the_id_of_a_result_is_the_path_of_its_file(client: Client, address: str, files: list[Path]) -> None:
    names = [str(path) for path in files]
    assert [result.id for result in client.embed(files)] == names
    assert [result.id for result in client.stream_classify("c", files)] == names
    assert [result.id for result in client.classify("c", [Image(names[0]), Input(files[0], id="mine"), "text"])] == [
        names[0],
        "mine",
        "",
    ]
    examples = [NewExample(path, "l") for path in files]
    assert [result.id for result in client.enroll("c", examples, raise_on_failure=False).results] == names
    async with AsyncClient(address) as asynchronous:
        assert [result.id for result in await asynchronous.embed(files)] == names
        assert [result.id async for result in asynchronous.stream_embed(files)] == names


def test_the_path_is_not_sent(client: Client, script: Script, files: list[Path]) -> None:
    client.embed(files)
    assert [result.id for result in script.requests[0].inputs] == ["", "", ""]


def test_rows_make_a_table(client: Client, script: Script, files: list[Path]) -> None:
    embedded = pd.DataFrame([result.to_dict() for result in client.embed([*files, "text"])])
    assert list(embedded["id"]) == [*map(str, files), ""]
    assert embedded["error"].notna().tolist() == [False, False, True, False]
    assert embedded["vector"].iloc[3] == [4.0, 1.0]
    answer(script, classification("a"))
    table = pd.DataFrame([result.to_dict() for result in client.classify("a", "cat")])
    assert table.loc[0, ["decision", "label", "probability", "head", "collection"]].tolist() == [
        "MATCH",
        "cat",
        0.75,
        "LDA",
        "a",
    ]
    [row] = client.classify("a", "cat")
    assert json.loads(json.dumps(row.to_dict()))["evidence"] == [
        {"example": "collections/a/examples/e", "label": "cat", "similarity": 0.5}
    ]
    enrolled = client.enroll("c", [NewExample("x", "l", id="x")])
    assert pd.DataFrame([result.to_dict() for result in enrolled.results])["example"].tolist() == [
        "collections/c/examples/x"
    ]


def test_several_collections_are_in_the_row_and_in_unwrap_all(client: Client, script: Script) -> None:
    answer(script, classification("a"), classification("b", "dog"))
    [result] = client.classify(["a", "b"], "cat")
    assert [answer.label for answer in result.unwrap_all()] == ["cat", "dog"]
    with pytest.raises(ValueError, match=r"2 collections answered \(a, b\): unwrap_all\(\)"):
        result.unwrap()
    row = result.to_dict()
    assert (row["a.label"], row["b.label"], "label" in row) == ("cat", "dog", False)
    assert repr(result) == "ClassifyResult(id='', a='MATCH cat', b='MATCH dog')"


def test_reprs_are_short(client: Client, script: Script) -> None:
    answer(script, classification("a"))
    [result] = client.classify("a", Input("cat", id="7"))
    assert repr(result) == "ClassifyResult(id='', decision='MATCH', label='cat', probability=0.75)"
    assert repr(result.unwrap()) == "Classification(decision='MATCH', label='cat', probability=0.75)"
    assert repr(Vector(np.zeros(512), "sha256:toy")) == "Vector(512 values, 'sha256:toy')"
    assert repr(client.embed([Input("bad", id="7")])[0]) == (
        "EmbedResult(id='7', error='INPUT_EMPTY (inputs[0]): no content')"
    )
    assert repr(client.embed("cat")[0]) == "EmbedResult(id='', vector=Vector(2 values, 'sha256:toy'))"
    enrollment = client.enroll("c", [NewExample("x", "l", id="x")])
    assert repr(enrollment) == "Enrollment(examples=1, failed=0, revision=4)"
    assert repr(enrollment.results[0]) == "EnrollResult(id='x', example='x', label='l', duplicate=False)"


async def test_an_enrollment_with_failures_raises_with_every_result(client: Client, address: str) -> None:
    examples = [NewExample(text, "l", id=text) for text in ("a", "bad", "b")]
    with pytest.raises(EnrollmentFailed, match=r"1 of 3 examples were not enrolled; the first is 'bad': no") as caught:
        client.enroll("c", examples)
    failed = caught.value
    assert [result.ok for result in failed.enrollment.results] == [True, False, True]
    assert [result.id for result in failed.enrollment.failed] == ["bad"]
    assert (failed.reason, failed.field) == ("INPUT_EMPTY", "examples[1]")
    assert failed.code is InvalidArgument.code
    async with AsyncClient(address) as asynchronous:
        with pytest.raises(EnrollmentFailed) as also:
            await asynchronous.enroll("c", examples)
        assert [result.ok for result in also.value.enrollment.results] == [True, False, True]
        allowed = await asynchronous.enroll("c", examples, raise_on_failure=False)
    assert [result.ok for result in allowed.results] == [True, False, True]
    unnamed = [NewExample(text, "l") for text in ("a", "bad")]
    with pytest.raises(EnrollmentFailed, match=r"the first is examples\[1\]"):
        client.enroll("c", unnamed)


def test_an_answer_of_a_tree_has_a_subtree(client: Client, script: Script) -> None:
    message = classification("a")
    answer(script, message)
    [result] = client.classify("a", "cat")
    assert result.unwrap().subtree is None
    assert result.to_dict()["subtree"] is None
    message.subtree.CopyFrom(
        pb.Subtree(label_id="bird", path="animal/bird", probability=0.5, label_ids=["owl", "wren"], label_count=2)
    )
    answer(script, message)
    [result] = client.classify("a", "cat")
    assert result.unwrap().subtree == Subtree("bird", "animal/bird", 0.5, ("owl", "wren"), 2)
    assert str(result.unwrap().subtree) == "animal/bird"
    assert str(Subtree("", "", 1.0, ("owl",), 7)) == "any of 7 labels"
    assert json.loads(json.dumps(result.to_dict()))["subtree"]["labels"] == ["owl", "wren"]
