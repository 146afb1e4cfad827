"""Tests updates and deletions of several examples, on a real SQLite file and in a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glimpse.ledger import (
    AttachmentRecord,
    CollectionRecord,
    ContentExists,
    Enrolled,
    Enrollment,
    EnrollRequest,
    LabelRecord,
    NotFound,
    ReembeddingRecord,
    ReembeddingResult,
    sqlite_url,
)
from glimpse.ledger.maintenance.history import describe_change
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import example, quiet, sha256, unit
from support.ledgers import Direct

LABELS = [LabelRecord("robin"), LabelRecord("wren")]


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    """Returns a ledger with the examples e1 to e4 of `robin` and e5 of `wren`, which must pass verification."""
    with Direct.of(place) as ledger:
        ledger.create_collection(CollectionRecord("birds", "backbones/a", "sha256:a", 8, keep_inputs=True))
        ledger.enroll("birds", LABELS, [*(example(number, "robin") for number in range(1, 5)), example(5, "wren")])
        yield ledger
    assert not verify(place if isinstance(place, str) else sqlite_url(place), quiet)


def labels(ledger: Direct) -> dict[str, str]:
    return {one.id: one.label_id for one in ledger.examples("birds")}


def test_an_update_is_one_change_and_keeps_everything_else(ledger: Direct) -> None:
    before, revision = {one.id: one for one in ledger.examples("birds")}, ledger.revision
    values = {"label_id": "wren", "domain": "garden", "metadata": {"k": "v"}, "group": "clip"}
    updated = ledger.update_examples("birds", ["e3", "e1"], values)
    assert (updated.revision, ledger.revision) == (revision + 1, revision + 1)
    assert [one.id for one in updated.examples] == ["e3", "e1"]
    after = {one.id: one for one in ledger.examples("birds")}
    assert after == before | {name: replace(before[name], **values) for name in ("e1", "e3")}
    assert list(after) == list(before)
    [change] = ledger.changes(revision)
    assert describe_change(change) == "2 examples: new label wren, domain, group, metadata"
    assert ledger.collection("birds").revision == revision + 1
    delta = ledger.since(revision)
    assert {name for _, name in delta.examples} == {"e1", "e3"}
    assert ("birds", "wren") in delta.labels


def test_examples_that_have_the_values_do_not_change(ledger: Direct) -> None:
    first = ledger.update_examples("birds", ["e1", "e5"], {"label_id": "wren"})
    assert [one.id for one in first.examples] == ["e1"]
    again = ledger.update_examples("birds", ["e1", "e5"], {"label_id": "wren"})
    assert (list(again.examples), again.revision) == ([], ledger.revision)
    assert again.revision == first.revision


def test_a_content_has_each_label_once(ledger: Direct) -> None:
    twin = replace(example(1, "wren"), id="twin")
    third = replace(example(1, "kite"), id="third")
    ledger.enroll("birds", [LabelRecord("kite"), LabelRecord("owl")], [twin, third])
    revision = ledger.revision
    # The other example has the label, is named itself and keeps it, or gets it in the same call.
    for names, fault, other in (
        (["e2", "e1"], "e1", "twin"),
        (["twin", "e2", "e1"], "e1", "twin"),
    ):
        with pytest.raises(ContentExists) as refused:
            ledger.update_examples("birds", names, {"label_id": "wren"})
        assert (refused.value.example_id, refused.value.other_id) == (fault, other)
    with pytest.raises(ContentExists) as refused:
        ledger.update_examples("birds", ["e1", "e2", "third"], {"label_id": "owl"})
    assert (refused.value.example_id, refused.value.other_id) == ("third", "e1")
    assert ledger.revision == revision
    assert labels(ledger) == {
        "e1": "robin", "e2": "robin", "e3": "robin", "e4": "robin", "e5": "wren", "twin": "wren", "third": "kite"
    }  # fmt: skip


def test_a_missing_example_undoes_the_whole_call(ledger: Direct) -> None:
    revision = ledger.revision
    with pytest.raises(NotFound, match="'e9'"):
        ledger.update_examples("birds", ["e1", "e9"], {"label_id": "wren"})
    with pytest.raises(NotFound):
        ledger.delete_examples("birds", ["e1", "e9"])
    assert ledger.revision == revision
    assert labels(ledger)["e1"] == "robin"


def test_examples_and_rows_of_the_index_are_deleted_in_one_change(ledger: Direct) -> None:
    ledger.attach("birds", AttachmentRecord("built", sha256("built")), [])
    revision = ledger.delete_examples("birds", ["e1", "e5"], [3, 4, 9])
    assert labels(ledger) == dict.fromkeys(["e2", "e3", "e4"], "robin")
    assert ledger.attachment("birds")[1] == [3, 4, 9]
    [change] = ledger.changes(revision - 1)
    assert describe_change(change) == "2 examples and 3 rows of the index"
    assert ledger.delete_examples("birds", [], [5]) == revision + 1
    assert ledger.delete_examples("birds", ["e2"]) == revision + 2
    assert [describe_change(change) for change in ledger.changes(revision)] == ["1 row of the index", "1 example"]


def test_an_original_goes_with_its_last_example_and_stays_with_a_relabelled_one(ledger: Direct) -> None:
    both = [replace(example(20, "robin"), id="a"), replace(example(20, "wren"), id="b")]
    content = {both[0].content_digest: b"20"}
    with ledger.ledger.begin() as writer:
        writer.enroll([Enrollment("birds", [], both, inputs=content)])
    ledger.start_reembedding("birds", ReembeddingRecord("backbones/b", "sha256:b", 3))

    def kept() -> int:
        with ledger.reembedding("birds", 0) as reader:
            return sum(pending.content is not None for pending in reader.pending_examples(0, 100))

    assert kept() == 2
    ledger.delete_examples("birds", ["a", "e1"])
    ledger.create_label("birds", LabelRecord("owl"))
    ledger.update_examples("birds", ["b"], {"label_id": "owl"})
    assert kept() == 1
    ledger.delete_examples("birds", ["b"])
    assert kept() == 0


def test_both_sides_of_a_re_embedding_keep_their_vectors(ledger: Direct) -> None:
    ledger.start_reembedding("birds", ReembeddingRecord("backbones/b", "sha256:b", 3))
    sequences = {one.id: one.sequence for one in ledger.examples("birds")}
    results = [ReembeddingResult(sequence, unit(sequence, 3)) for sequence in sequences.values()]
    ledger.store_reembedded("birds", 0, results, [])
    before = {one.id: one.vector for one in ledger.examples("birds")}
    ledger.update_examples("birds", ["e1", "e2"], {"label_id": "wren", "group": "clip"})
    assert {one.id: one.vector for one in ledger.examples("birds")} == before
    ledger.switch_backbone("birds", 0, [], [])
    ledger.update_examples("birds", ["e2", "e3"], {"label_id": "wren", "domain": "garden"})
    switched = {one.id: (one.vector, one.label_id) for one in ledger.examples("birds")}
    wren = {"e1", "e2", "e3", "e5"}
    assert switched == {
        name: (unit(sequence, 3), "wren" if name in wren else "robin") for name, sequence in sequences.items()
    }
    ledger.end_reembedding("birds")
    while not ledger.clean_up_reembedding("birds", 2)[0]:
        pass
    assert {one.id: (one.vector, one.label_id) for one in ledger.examples("birds")} == switched


def test_a_request_that_was_answered_is_answered_the_same_after_an_update(ledger: Direct) -> None:
    request = EnrollRequest("r", sha256("r"), lambda enrolled: enrolled.examples[0].label_id.encode())
    new = example(30, "robin")
    ledger.enroll("birds", [], [new], request)
    ledger.update_examples("birds", ["e30"], {"label_id": "wren"})
    assert ledger.enroll("birds", [], [new], request) == b"robin"
    # Without the id it is a new example: its content does not have the former label any more.
    again = ledger.enroll("birds", [], [replace(new, id="again")])
    assert isinstance(again, Enrolled)
    assert list(again.duplicates) == [False]
    assert [[one.id for one in conflicts] for conflicts in again.conflicts] == [["e30"]]


def test_examples_that_a_compaction_leaves_out_stay(ledger: Direct) -> None:
    ledger.attach("birds", AttachmentRecord("built", sha256("built")), [])
    sequences = {one.id: one.sequence for one in ledger.examples("birds")}
    folded = AttachmentRecord("folded", sha256("folded"), 0, True)
    ledger.replace_index("birds", folded, sequences["e4"], [1], [sequences["e2"]])
    assert labels(ledger) == {"e2": "robin", "e5": "wren"}
