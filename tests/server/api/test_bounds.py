"""Names, responses and pages are limited, and a refusal leaves nothing in memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from glimpse.server.inference.prompt_cache import PromptCache
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.indexes import make_index
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode
Input = types_pb2.Input
MIB = 1 << 20
WIDE = "\N{DOG FACE}"  # four bytes in UTF-8


def resident(server: ServerProcess) -> int:
    """Returns the resident memory of the server in bytes."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


@pytest.fixture(scope="module")
def space(stubs: Stubs) -> str:
    backbone = stubs.embedding.GetBackbone(emb.GetBackboneRequest(name="backbones/tiny")).backbone
    return str(backbone.embedding_space)


def vectors(space: str, count: int) -> list[Input]:
    values = np.random.default_rng(count).normal(size=(count, 8)).astype("<f4")
    return [Input(vector=types_pb2.Vector(data=row.tobytes(), embedding_space=space)) for row in values]


@pytest.fixture(scope="module")
def wide(stubs: Stubs, space: str) -> list[str]:
    """Four collections of 260 labels, with one example per label."""
    names = [make_collection(stubs) for _ in range(4)]
    for name in names:
        examples = [col.NewExample(label_id=f"l{i}", input=one) for i, one in enumerate(vectors(space, 260))]
        for part in (examples[:130], examples[130:]):
            request = col.EnrollExamplesRequest(parent=name, examples=part, create_labels=True)
            stubs.collections.EnrollExamples(request)
    return names


def named_calls(stubs: Stubs, name: str) -> Iterator[tuple[Callable[[], object], str]]:
    """Yields calls with a name, and the request field of the name."""
    collections, one = stubs.collections, [Input(text="a")]
    yield lambda: collections.GetCollection(col.GetCollectionRequest(name=name)), "name"
    yield lambda: collections.ListLabels(col.ListLabelsRequest(parent=name)), "parent"
    yield lambda: collections.GetLabel(col.GetLabelRequest(name=name)), "name"
    yield lambda: collections.GetExample(col.GetExampleRequest(name=name)), "name"
    classify = cls.ClassifyRequest(collections=[name], inputs=one)
    yield lambda: stubs.classification.Classify(classify), "collections[0]"
    yield (
        lambda: stubs.classification.SearchExamples(cls.SearchExamplesRequest(collection=name, inputs=one)),
        "collection",
    )


def test_long_names_are_refused_and_leave_nothing_in_memory(server: ServerProcess, both_stubs: Stubs) -> None:
    stubs = both_stubs
    for call, field in named_calls(stubs, f"collections/{'x' * MIB}"):
        with refused(Code.INVALID_ARGUMENT, "TOO_LONG", field) as refusal:
            call()
        assert len(refusal.message) < 400
    before = 0
    for number in range(10):
        with refused(Code.INVALID_ARGUMENT, "TOO_LONG", "name"):
            stubs.collections.GetCollection(col.GetCollectionRequest(name=f"{number}{'x' * 15 * MIB}"))
        before = before or resident(server)
    assert resident(server) - before < 60 * MIB
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
        stubs.collections.ListCollections(col.ListCollectionsRequest(page_token="A" * MIB))
    long = {"paths": ["." * MIB]}
    with refused(Code.INVALID_ARGUMENT, "TOO_LONG", "update_mask"):
        request = col.UpdateCollectionRequest(collection=col.Collection(name=make_collection(stubs)), update_mask=long)
        stubs.collections.UpdateCollection(request)


def test_the_status_of_an_item_does_not_repeat_the_whole_input(both_stubs: Stubs, collection: str) -> None:
    odd = Input(vector=types_pb2.Vector(data=b"1234", embedding_space="s" * MIB))
    response = both_stubs.classification.Classify(cls.ClassifyRequest(collections=[collection], inputs=[odd, odd]))
    assert {one.status.reason for one in response.results} == {"EMBEDDING_SPACE_MISMATCH"}
    assert response.ByteSize() < 2_000


def test_the_prompt_cache_counts_the_overhead_of_its_entries() -> None:
    cache, most = PromptCache(MIB), MIB // 384
    for number in range(2 * most):
        cache.put(f"prompt {number}", np.zeros(1, np.float32))
    assert cache.get(f"prompt {2 * most - 1}") is not None
    assert sum(cache.get(f"prompt {number}") is not None for number in range(2 * most)) < most


def test_a_collection_given_twice_is_refused(stubs: Stubs, both_stubs: Stubs, wide: list[str], space: str) -> None:
    names = [wide[0], wide[1], wide[0]]
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_COLLECTION", "collections[2]"):
        both_stubs.classification.Classify(cls.ClassifyRequest(collections=names, inputs=vectors(space, 1)))
    config = cls.StreamClassifyRequest(config=cls.StreamClassifyConfig(collections=names))
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_COLLECTION", "config.collections[2]"):
        list(stubs.classification.StreamClassify(iter([config])))


def test_a_response_that_would_be_too_large_is_refused_at_once(
    server: ServerProcess, stubs: Stubs, both_stubs: Stubs, wide: list[str], space: str
) -> None:
    before, inputs = resident(server), vectors(space, 256)
    started = time.monotonic()
    with refused(Code.INVALID_ARGUMENT, "ANSWER_TOO_LARGE", "options.top_k") as refusal:
        options = cls.ClassifyOptions(top_k=2_000)
        both_stubs.classification.Classify(cls.ClassifyRequest(collections=wide, inputs=inputs, options=options))
    assert "at most 65536" in refusal.message
    with refused(Code.INVALID_ARGUMENT, "ANSWER_TOO_LARGE", "top_k"):
        request = cls.SearchExamplesRequest(collection=wide[0], inputs=inputs, top_k=1_000)
        both_stubs.classification.SearchExamples(request)
    with refused(Code.INVALID_ARGUMENT, "ANSWER_TOO_LARGE", "top_k"):
        labels = [cls.PromptedLabel(label_id=f"l{i}") for i in range(257)]
        zero_shot = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=inputs, top_k=257)
        both_stubs.classification.ClassifyZeroShot(zero_shot)
    config = cls.StreamClassifyConfig(collections=wide, options=cls.ClassifyOptions(top_k=1_000))
    with refused(Code.INVALID_ARGUMENT, "ANSWER_TOO_LARGE", "config.options.top_k"):
        list(stubs.classification.StreamClassify(iter([cls.StreamClassifyRequest(config=config)])))
    assert time.monotonic() - started < 2
    assert resident(server) - before < 50 * MIB


def test_only_existing_labels_and_examples_count_for_the_size_of_a_response(
    stubs: Stubs, collection: str, space: str
) -> None:
    enrolled = [col.NewExample(label_id="a", input=one) for one in vectors(space, 3)]
    request = col.EnrollExamplesRequest(parent=collection, examples=enrolled, create_labels=True)
    stubs.collections.EnrollExamples(request)
    options, inputs = cls.ClassifyOptions(top_k=1_000_000, evidence=100), vectors(space, 256)
    response = stubs.classification.Classify(
        cls.ClassifyRequest(collections=[collection], inputs=inputs, options=options)
    )
    assert len(response.results) == 256
    search = cls.SearchExamplesRequest(collection=collection, inputs=inputs, top_k=1_000)
    assert len(stubs.classification.SearchExamples(search).results[0].neighbors) == 3


def test_a_response_with_long_names_is_limited_in_bytes(both_stubs: Stubs, space: str) -> None:
    labels = [cls.PromptedLabel(prompts=[f"{i} {WIDE * 4_090}"]) for i in range(50)]
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=vectors(space, 60), top_k=50)
    with refused(Code.INVALID_ARGUMENT, "ANSWER_TOO_LARGE", "top_k"):
        both_stubs.classification.ClassifyZeroShot(request)


def pages(ask: Callable[[str], Any]) -> Iterator[Any]:
    token = ""
    while True:
        page = ask(token)
        assert page.ByteSize() < 4 * MIB
        yield page
        if not (token := page.next_page_token):
            return


def test_a_page_of_labels_is_limited_in_bytes(stubs: Stubs, collection: str) -> None:
    for number in range(5):
        label = col.Label(prompts=[f"{i} {WIDE * 4_000}" for i in range(64)])
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=f"l{number}", label=label))

    def ask(token: str) -> col.ListLabelsResponse:
        request = col.ListLabelsRequest(parent=collection, page_size=1_000, page_token=token)
        answer: col.ListLabelsResponse = stubs.collections.ListLabels(request)
        return answer

    listed = list(pages(ask))
    assert len(listed) == 2
    assert [one.name.rpartition("/")[2] for page in listed for one in page.labels] == [f"l{i}" for i in range(5)]


def test_a_page_of_examples_is_limited_in_bytes(stubs: Stubs, collection: str, space: str) -> None:
    metadata = {f"key {i}": WIDE * 1_024 for i in range(40)}
    examples = [col.NewExample(label_id="a", input=one, metadata=metadata) for one in vectors(space, 50)]
    request = col.EnrollExamplesRequest(parent=collection, examples=examples, create_labels=True)
    enrolled = [one.example.name for one in stubs.collections.EnrollExamples(request).results]

    def ask(token: str) -> col.ListExamplesResponse:
        request = col.ListExamplesRequest(parent=collection, page_size=1_000, page_token=token, include_vector=True)
        answer: col.ListExamplesResponse = stubs.collections.ListExamples(request)
        return answer

    listed = list(pages(ask))
    assert len(listed) > 2
    assert [one.name for page in listed for one in page.examples] == enrolled


def test_a_full_collection_names_the_limit_of_labels(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0], max_labels=3) as process:
        stubs = Stubs(process.address)
        name = make_collection(stubs)
        for label_id in ("a", "b", "c"):
            stubs.collections.CreateLabel(col.CreateLabelRequest(parent=name, label_id=label_id))
        with refused(Code.RESOURCE_EXHAUSTED, "TOO_MANY_LABELS") as refusal:
            stubs.collections.CreateLabel(col.CreateLabelRequest(parent=name, label_id="d"))
        assert refusal.message.endswith("has 3 labels; the limit is 3")
        [backbone] = stubs.embedding.ListBackbones(emb.ListBackbonesRequest()).backbones
        rows = np.eye(backbone.dimension, dtype=np.float32)[:2]
        make_index(tmp_path / "data" / "indexes" / "two", backbone.embedding_space, rows, ["d", "e"])
        with refused(Code.RESOURCE_EXHAUSTED, "TOO_MANY_LABELS", "index") as refusal:
            stubs.collections.AttachIndex(col.AttachIndexRequest(collection=name, index="indexes/two"))
        assert refusal.message.endswith("would have 5 labels with this index; the limit is 3")
        stubs.channel.close()
