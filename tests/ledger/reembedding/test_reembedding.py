"""Tests stored inputs and re-embedding, on a real SQLite file and in a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glimpse.ledger import (
    AlreadyExists,
    CollectionRecord,
    Enrolled,
    Enrollment,
    ExampleRecord,
    LabelRecord,
    NotFound,
    ReembeddingRecord,
    ReembeddingResult,
)
from support.ledgers import Direct

_OLD, _NEW = b"\0\0\x80?" * 2, b"\0\0\x80?" * 3


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    with Direct.of(place) as ledger:
        ledger.create_collection(
            CollectionRecord("birds", "backbones/old", "old", 2, match_threshold=0.5, keep_inputs=True)
        )
        yield ledger


def example(name: str, label: str = "robin", digest: str | None = None) -> ExampleRecord:
    return ExampleRecord(name, label, digest or f"sha256:{name}", 1, _OLD)


def enroll(ledger: Direct, *examples: ExampleRecord, kept: bool = True) -> Enrolled:
    labels = [LabelRecord("robin", prompts=("a robin",), prompt_vector=_OLD), LabelRecord("wren")]
    contents = {one.content_digest: one.content_digest.encode() for one in examples} if kept else {}
    with ledger.ledger.begin() as writer:
        [outcome] = writer.enroll([Enrollment("birds", labels, examples, inputs=contents)])
    assert isinstance(outcome, Enrolled)
    return outcome


def start(ledger: Direct) -> None:
    ledger.start_reembedding("birds", ReembeddingRecord("backbones/new", "new", 3))


def missing(ledger: Direct, switches: int = 0) -> dict[int, bytes | None]:
    with ledger.ledger.reembedding("birds", switches) as reader:
        return {one.sequence: one.content for one in reader.pending_examples(0, 100)}


def embed_all(ledger: Direct, switches: int = 0) -> None:
    found = [
        ReembeddingResult(key, _NEW if switches % 2 == 0 else _OLD)
        for key, content in missing(ledger, switches).items()
        if content
    ]
    ledger.store_reembedded("birds", switches, found, [ReembeddingResult("robin", _NEW)])


def held(ledger: Direct) -> list[tuple[str, bytes]]:
    return [(one.id, one.vector) for one in ledger.examples("birds")]


def test_an_original_is_kept_once_and_goes_with_its_last_example(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b", "wren", "sha256:a"), example("c"))
    start(ledger)
    assert list(missing(ledger).values()) == [b"sha256:a", b"sha256:a", b"sha256:c"]
    ledger.delete_example("birds", "a")
    assert list(missing(ledger).values()) == [b"sha256:a", b"sha256:c"]
    ledger.delete_label("birds", "wren")
    enroll(ledger, example("d", digest="sha256:a"), kept=False)
    assert list(missing(ledger).values()) == [b"sha256:c", None]


def test_enrolling_again_stores_the_original_and_nothing_else(ledger: Direct) -> None:
    before = enroll(ledger, example("a"), kept=False)
    start(ledger)
    [sequence] = missing(ledger)
    ledger.store_reembedded("birds", 0, [ReembeddingResult(sequence, None, "ORIGINAL_NOT_KEPT: none")], [])
    assert missing(ledger) == {}
    again = enroll(ledger, example("again", digest="sha256:a"))
    assert (again.duplicates, again.subject, again.revision) == ([True], {"originals": ["a"]}, before.revision + 3)
    assert missing(ledger) == {sequence: b"sha256:a"}
    assert enroll(ledger, example("again", digest="sha256:a")).revision == again.revision


def test_the_sides_change_places_and_back(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b", "wren"))
    before, labels = held(ledger), ledger.labels("birds")
    start(ledger)
    embed_all(ledger)
    ledger.switch_backbone("birds", 0, [], [])
    [record] = ledger.collections()
    assert (record.backbone, record.embedding_space, record.dimension) == ("backbones/new", "new", 3)
    assert record.match_threshold is None
    assert held(ledger) == [("a", _NEW), ("b", _NEW)]
    assert [one.prompt_vector for one in ledger.labels("birds")] == [_NEW, None]
    record = ledger.reembedding_record("birds")
    assert (record.switches, record.backbone, record.match_threshold) == (1, "backbones/old", 0.5)
    assert missing(ledger, 1) == {}
    ledger.switch_backbone("birds", 1, [], [])
    [record] = ledger.collections()
    assert (held(ledger), ledger.labels("birds"), record.match_threshold) == (before, labels, 0.5)


def test_examples_that_a_backbone_lacks_are_hidden_while_it_answers(ledger: Direct) -> None:
    enroll(ledger, example("kept"), example("also", "wren"))
    enroll(ledger, example("lost"), example("repeated", "wren"), kept=False)
    before = held(ledger)
    start(ledger)
    embed_all(ledger)
    lost = [ReembeddingResult(key, None, "ORIGINAL_NOT_KEPT") for key in missing(ledger)]
    ledger.switch_backbone("birds", 0, lost, [])
    assert held(ledger) == [("kept", _NEW), ("also", _NEW)]
    with ledger.ledger.reembedding("birds", 1) as reader:
        progress = reader.counts()
        assert (progress.examples, progress.embedded, progress.left, progress.hidden) == (2, 2, 0, 2)
        assert reader.failures(10) == []
        assert [(one.id, one.vector) for one in reader.examples()] == before
    with pytest.raises(NotFound):
        ledger.example("birds", "lost")
    again = enroll(
        ledger, replace(example("since"), vector=_NEW), replace(example("x", "wren", "sha256:repeated"), vector=_NEW)
    )
    assert (again.duplicates, again.subject["examples"], again.subject["shown"]) == (
        [False] * 2,
        ["since"],
        ["repeated"],
    )
    assert held(ledger) == [("kept", _NEW), ("also", _NEW), ("repeated", _NEW), ("since", _NEW)], "it is there again"
    embed_all(ledger, 1)
    ledger.switch_backbone("birds", 1, [], [])
    assert held(ledger) == [*before, ("since", _OLD)]
    with ledger.ledger.reembedding("birds", 2) as reader:
        assert (reader.counts().failed, reader.counts().hidden, reader.counts().left) == (1, 0, 0)


def test_examples_deleted_and_prompts_changed_during_embedding_have_no_row(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b", "wren"))
    start(ledger)
    first, second = missing(ledger)
    ledger.delete_example("birds", "a")
    ledger.store_reembedded(
        "birds", 0, [ReembeddingResult(first, _NEW), ReembeddingResult(second, _NEW)], [ReembeddingResult("gone", _NEW)]
    )
    ledger.store_reembedded("birds", 0, [ReembeddingResult(second, _OLD)], [ReembeddingResult("robin", _NEW)])
    with ledger.ledger.reembedding("birds", 0) as reader:
        assert (reader.counts().embedded, reader.embedded_prompts()) == (1, {"robin"})
        assert [one.vector for one in reader.examples()] == [_NEW], "existing vectors are not written again"
    [robin, _] = ledger.labels("birds")
    ledger.update_label("birds", replace(robin, display_name="Robin"))
    with ledger.ledger.reembedding("birds", 0) as reader:
        assert reader.embedded_prompts() == {"robin"}
    ledger.update_label("birds", replace(robin, prompts=("another",)))
    with ledger.ledger.reembedding("birds", 0) as reader:
        assert reader.embedded_prompts() == set()


def test_the_end_leaves_nothing_of_the_other_side(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b"))
    enroll(ledger, example("lost"), kept=False)
    start(ledger)
    with pytest.raises(AlreadyExists):
        start(ledger)
    embed_all(ledger)
    with pytest.raises(NotFound):
        ledger.switch_backbone("birds", 1, [], [])
    with pytest.raises(NotFound):
        ledger.store_reembedded("birds", 1, [], [])
    ledger.switch_backbone(
        "birds", 0, [ReembeddingResult(key, None, "ORIGINAL_NOT_KEPT") for key in missing(ledger)], []
    )
    enroll(ledger, replace(example("since"), vector=_NEW))
    wanted = [("a", _NEW), ("b", _NEW), ("since", _NEW)]
    with pytest.raises(NotFound):
        ledger.clean_up_reembedding("birds", 1)
    ledger.end_reembedding("birds")
    with pytest.raises(NotFound):
        ledger.end_reembedding("birds")
    for _ in range(3):
        done, _ = ledger.clean_up_reembedding("birds", 1)
        assert (done, held(ledger)) == (False, wanted), "nothing that is seen changes"
    assert ledger.clean_up_reembedding("birds", 1)[0]
    assert (held(ledger), ledger.reembedding_record("birds")) == (wanted, None)
    start(ledger)
    assert list(missing(ledger).values()) == [b"sha256:a", b"sha256:b", b"sha256:since"]
    embed_all(ledger)
    ledger.delete_collection("birds")


def test_one_at_a_time_has_a_claim(ledger: Direct, place: Path | str) -> None:
    claim = ledger.try_lock("birds")
    assert claim
    with Direct.of(place) as other:
        assert (other.try_lock("birds") is None) == isinstance(place, str), "a folder has one server"
        claim.release()
        again = other.try_lock("birds")
        assert again
        again.release()
