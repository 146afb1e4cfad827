"""Tests that a resolution and its undo are one transaction each, in a real SQLite file and a real PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from glimpse.ledger import (
    AlreadyExists,
    AttachmentRecord,
    ExampleRecord,
    LabelRecord,
    Ledger,
    NotFound,
    RequestIdReused,
    ResolutionChanged,
    ResolutionKind,
    ResolutionRows,
    Resolve,
    Resolved,
    ResolveOutcome,
    ResolveRequest,
    ReviewActivity,
    ReviewBatch,
    ReviewGroupChanged,
)
from glimpse.ledger.database import schema
from glimpse.ledger.maintenance.verify import verify
from glimpse.ledger.review import resolving
from support.full_ledger import everything, quiet
from support.ledgers import Direct
from support.postgres import Postgres
from support.review import DAY, collection, item, now, parts, sample, vector

LABEL, NEW_LABEL, NEGATIVE, SKIP = ResolutionKind
NONE = LabelRecord("negative", role=2)


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    with Direct.of(place) as ledger:
        ledger.create_collection(collection(keep_inputs=True))
        ledger.create_label("birds", LabelRecord("robin"))
        batch = [item(name, name.encode() * 9) for name in "abc"] + [item("d", domain="garden")]
        contents = [part for name in "abc" for part in parts(name, name.encode() * 9, 5)]
        samples = [sample("s1", 1, item_id="a"), sample("s2", 2)]
        ledger.review.add([ReviewBatch("birds", batch, contents, samples=samples)])
        yield ledger


def resolve(ledger: Direct, ids: str, kind: ResolutionKind, label: LabelRecord | None = None, **more: Any) -> Resolved:
    resolved: Resolved = ledger.resolve_review(Resolve("birds", [*ids], kind, label, **{"actor": "ann", **more}))
    return resolved


def outcomes(resolved: Resolved) -> list[str]:
    return [result.outcome for result in resolved.results]


def waiting(ledger: Direct) -> str:
    return "".join(sorted(one.id for one in ledger.review.waiting("birds")))


def test_items_are_enrolled_as_an_ordinary_change_of_the_actor(ledger: Direct) -> None:
    queued = ledger.review.items("birds", "abd")
    resolved = resolve(ledger, "da", LABEL, LabelRecord("robin"))
    [change] = ledger.since(2).changes
    assert (change.kind, change.actor, change.revision) == ("enroll", "ann", resolved.revision)
    examples = {one.id: one for one in ledger.examples("birds")}
    assert change.subject["examples"] == [result.example_id for result in resolved.results] == list(examples)
    for result in resolved.results:
        one, example = queued[result.item_id], examples[result.example_id]
        assert (example.label_id, example.vector, example.domain) == ("robin", one.vector, one.domain)
        assert (example.content_digest, example.modality) == (one.content_digest, one.modality)
    assert waiting(ledger) == "bc"
    assert ledger.review.items("birds", "a")["a"].example_id == resolved.results[1].example_id
    stored = ledger.review.resolution("birds", resolved.resolution_id)
    assert (stored.kind, stored.label_id, stored.item_count, stored.actor) == (LABEL, "robin", 2, "ann")
    assert ledger.review.activity("birds", stored.time) == ReviewActivity(resolved=2, dropped=0)
    assert not verify(ledger.url, quiet)


def test_originals_are_kept_where_the_collection_keeps_inputs(ledger: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "_CONTENT_BYTES", 20)
    resolved = resolve(ledger, "abcd", NEW_LABEL, LabelRecord("wren", "Wren"))
    assert [len(one.examples) for one in resolved.enrolled] == [2, 2], "as much content as fits into memory"
    assert [change.kind for change in ledger.since(2).changes] == ["enroll", "enroll"]
    assert stored_inputs(ledger) == {b"a" * 9, b"b" * 9, b"c" * 9}
    assert ledger.review.contents("birds", "abc", 100).keys() == {*"abc"}, "they stay for an undo"
    ledger.undo_review("birds", resolved.resolution_id)
    assert stored_inputs(ledger) == set()
    ledger.update_collection(collection(keep_inputs=False))
    resolve(ledger, "ab", NEW_LABEL, LabelRecord("wren"))
    assert stored_inputs(ledger) == set()
    assert not verify(ledger.url, quiet)


def stored_inputs(ledger: Direct) -> set[bytes]:
    return {content for _, _, content in everything(ledger.url)["inputs"]}


def test_labels_are_found_or_created(ledger: Direct) -> None:
    with pytest.raises(NotFound, match="no label 'wren'"):
        resolve(ledger, "a", LABEL, LabelRecord("wren"))
    with pytest.raises(AlreadyExists):
        resolve(ledger, "a", NEW_LABEL, LabelRecord("robin"))
    assert waiting(ledger) == "abcd"
    new = LabelRecord("wren", "Wren", ("a wren",), vector(5), 0)
    resolved = resolve(ledger, "a", NEW_LABEL, new)
    assert (resolved.label_id, resolved.created_label) == ("wren", True)
    [stored] = [label for label in ledger.labels("birds") if label.id == "wren"]
    assert replace(stored, create_time=0, update_time=0) == new


def test_a_negative_is_the_one_with_most_examples_or_a_new_one(ledger: Direct) -> None:
    ledger.create_label("birds", LabelRecord("negative"))  # a class with this name
    assert resolve(ledger, "a", NEGATIVE, NONE).label_id == "negative-2"
    ledger.create_label("birds", LabelRecord("background", role=2))
    assert resolve(ledger, "b", NEGATIVE, NONE).label_id == "negative-2"
    some = [ExampleRecord(f"n{n}", "background", f"sha256:{n:064}", 1, vector(n)) for n in range(3)]
    ledger.enroll("birds", [], some)
    third = resolve(ledger, "c", NEGATIVE, NONE)
    assert (third.label_id, third.created_label) == ("background", False)


def test_a_skip_changes_the_queue_alone(ledger: Direct) -> None:
    revision = ledger.revision
    skipped = resolve(ledger, "ab", SKIP)
    assert (skipped.revision, skipped.label_id, ledger.revision) == (revision, "", revision)
    assert [result.example_id for result in skipped.results] == ["", ""]
    assert waiting(ledger) == "cd"
    [one, _] = ledger.review.samples("birds")
    assert one.resolved_label_id is None
    undone = ledger.undo_review("birds", skipped.resolution_id)
    assert (sorted(undone.item_ids), list(undone.example_ids), undone.revision) == (["a", "b"], [], revision)
    assert waiting(ledger) == "abcd"


def test_samples_know_what_their_items_are(ledger: Direct) -> None:
    resolved = resolve(ledger, "ab", LABEL, LabelRecord("robin"))
    answers = [(one.id, one.resolution_id, one.resolved_label_id) for one in ledger.review.samples("birds")]
    assert answers == [("s1", resolved.resolution_id, "robin"), ("s2", None, None)]
    ledger.undo_review("birds", resolved.resolution_id)
    assert {one.resolved_label_id for one in ledger.review.samples("birds")} == {None}


def test_each_item_has_an_outcome_of_its_own(ledger: Direct) -> None:
    other = [item("other", embedding_space="old"), item("child", embedding_space="child")]
    ledger.review.add([ReviewBatch("birds", [*other, item("late", expire_time=now() - 1)])])
    resolve(ledger, "a", LABEL, LabelRecord("robin"), actor="bob")
    resolve(ledger, "b", SKIP)
    ids = ["a", "b", "c", "none", "late", "other", "child"]
    found = ledger.resolve_review(Resolve("birds", ids, LABEL, LabelRecord("robin"), accepted_spaces=["child"]))
    assert outcomes(found) == [
        *["already_resolved"] * 2,
        ResolveOutcome.RESOLVED,
        *["not_found"] * 2,
        "other_space",
        "resolved",
    ]
    assert [(one.resolved_by, one.resolved_label_id) for one in found.results[:3]] == [
        ("bob", "robin"),
        ("ann", ""),
        ("", ""),
    ]
    assert ledger.example("birds", found.results[6].example_id).embedding_space == "child"
    nothing = resolve(ledger, "ab", LABEL, LabelRecord("robin"))
    assert (nothing.resolution_id, nothing.revision) == ("", ledger.revision)
    assert outcomes(ledger.resolve_review(Resolve("birds", ["other"], SKIP))) == ["resolved"]


def test_content_that_is_enrolled_already_is_named(ledger: Direct) -> None:
    first = resolve(ledger, "a", LABEL, LabelRecord("robin"))
    twin = replace(item("twin"), content_digest=ledger.review.items("birds", "a")["a"].content_digest)
    ledger.review.add([ReviewBatch("birds", [twin])])
    second = ledger.resolve_review(Resolve("birds", ["twin"], LABEL, LabelRecord("robin")))
    assert second.results[0].example_id == first.results[0].example_id
    undone = ledger.undo_review("birds", second.resolution_id)
    assert (list(undone.item_ids), list(undone.example_ids)) == (["twin"], []), "it enrolled nothing"
    assert ledger.example("birds", first.results[0].example_id)


def test_the_same_request_gets_the_same_response(ledger: Direct) -> None:
    request = ResolveRequest("r", "digest", lambda resolved: resolved.resolution_id.encode())
    resolved = resolve(ledger, "ab", NEW_LABEL, LabelRecord("wren"), request=request)
    revision = ledger.revision
    again: Any = resolve(ledger, "ab", NEW_LABEL, LabelRecord("wren"), request=request)
    assert again == resolved.resolution_id.encode()
    assert ledger.revision == revision
    with pytest.raises(RequestIdReused):
        resolve(ledger, "c", SKIP, request=replace(request, digest="another"))
    assert waiting(ledger) == "cd"
    ledger.review.delete_expired(now() + 8 * DAY)
    assert isinstance(resolve(ledger, "c", SKIP, request=replace(request, digest="later")), Resolved)


def test_members_of_a_group_that_changed_are_named(ledger: Direct) -> None:
    resolve(ledger, "a", SKIP)
    with pytest.raises(ReviewGroupChanged) as failure:
        resolve(ledger, "bc", NEW_LABEL, LabelRecord("wren"), expected=["a", "b", "c", "x"])
    assert failure.value.item_ids == ["a", "x"]
    assert waiting(ledger) == "bcd"
    assert outcomes(resolve(ledger, "bc", NEW_LABEL, LabelRecord("wren"), expected="bcd")) == ["resolved"] * 2


def test_an_undo_leaves_nothing_behind(ledger: Direct) -> None:
    before = [list(ledger.examples("birds")), ledger.labels("birds"), ledger.review.items("birds", "abcd")]
    resolved = resolve(ledger, "abc", NEW_LABEL, LabelRecord("wren"))
    undone = ledger.undo_review("birds", resolved.resolution_id, "bob")
    assert sorted(undone.item_ids) == [*"abc"]
    assert sorted(undone.example_ids) == sorted(result.example_id for result in resolved.results)
    assert (undone.label_id, undone.revision) == ("wren", ledger.revision)
    assert [list(ledger.examples("birds")), ledger.labels("birds"), ledger.review.items("birds", "abcd")] == before
    changes = ledger.since(resolved.revision).changes
    assert [(change.kind, change.actor) for change in changes] == [("delete_examples", "bob"), ("delete_label", "bob")]
    again = ledger.undo_review("birds", resolved.resolution_id, "bob")
    assert (list(again.item_ids), list(again.example_ids), again.revision) == ([], [], undone.revision)
    assert ledger.review.activity("birds", 0).resolved == 0
    assert outcomes(resolve(ledger, "abc", LABEL, LabelRecord("robin"))) == ["resolved"] * 3
    with pytest.raises(NotFound, match="no resolution 'x'"):
        ledger.undo_review("birds", "x")
    assert not verify(ledger.url, quiet)


def test_a_label_with_other_examples_stays(ledger: Direct) -> None:
    resolved = resolve(ledger, "a", NEW_LABEL, LabelRecord("wren"))
    second = resolve(ledger, "b", LABEL, LabelRecord("wren"))
    assert ledger.undo_review("birds", resolved.resolution_id).label_id == ""
    assert [label.id for label in ledger.labels("birds")] == ["robin", "wren"]
    assert ledger.undo_review("birds", second.resolution_id).label_id == "", "it did not create the label"


def test_a_label_that_an_index_brought_rows_for_stays(ledger: Direct) -> None:
    resolved = resolve(ledger, "a", NEW_LABEL, LabelRecord("wren"))
    ledger.attach("birds", AttachmentRecord("built", "0" * 64, now()), [LabelRecord("wren")])
    rows = ResolutionRows(label_count=1)
    assert ledger.undo_review("birds", resolved.resolution_id, "", rows).label_id == ""


@pytest.mark.parametrize("others", [0, 1])
def test_examples_that_a_compaction_moved_are_deleted_as_rows(ledger: Direct, others: int) -> None:
    resolved = resolve(ledger, "ab", NEW_LABEL, LabelRecord("wren"))
    examples = list(ledger.examples("birds"))
    ledger.attach("birds", AttachmentRecord("built", "0" * 64, now()), [])
    ledger.replace_index("birds", AttachmentRecord("new", "1" * 64, now()), examples[0].sequence, [3])
    moved, [enrolled] = examples[0], ledger.examples("birds")
    with pytest.raises(ResolutionChanged, match=f"example '{moved.id}'; undo"):
        ledger.undo_review("birds", resolved.resolution_id)
    rows = ResolutionRows({5: moved}, 1 + others)
    undone = ledger.undo_review("birds", resolved.resolution_id, "", rows)
    assert sorted(undone.example_ids) == sorted([enrolled.id, moved.id])
    assert undone.label_id == ("" if others else "wren")
    assert ledger.attachment("birds")[1] == [3, 5]
    assert waiting(ledger) == "abcd"
    assert not verify(ledger.url, quiet)


def test_an_error_names_some_of_many_examples(ledger: Direct) -> None:
    ids = [f"i{number}" for number in range(8)]
    ledger.review.add([ReviewBatch("birds", [item(name) for name in ids])])
    resolved = ledger.resolve_review(Resolve("birds", ids, NEW_LABEL, LabelRecord("wren")))
    ledger.delete_label("birds", "wren")
    with pytest.raises(ResolutionChanged, match=r"resolution: label 'wren', example .*, 3 further") as failure:
        ledger.undo_review("birds", resolved.resolution_id)
    assert len(failure.value.example_ids) == 8
    assert len(str(failure.value)) < 300


@pytest.mark.parametrize("change", ["delete", "relabel", "metadata", "rename label", "delete label"])
def test_what_somebody_changed_since_is_named_and_nothing_undone(ledger: Direct, change: str) -> None:
    resolved = resolve(ledger, "abc", NEW_LABEL, LabelRecord("wren"))
    first, second = (result.example_id for result in resolved.results[:2])
    expected: tuple[list[str], str] = [first], ""
    match change:
        case "delete":
            ledger.delete_example("birds", first)
        case "relabel":
            ledger.update_examples("birds", [first], {"label_id": "robin"})
        case "metadata":
            ledger.update_examples("birds", [first, second], {"metadata": {"by": "hand"}})
            expected = [first, second], ""
        case "rename label":
            [label] = [one for one in ledger.labels("birds") if one.id == "wren"]
            ledger.update_label("birds", replace(label, display_name="Wren"))
            expected = [], "wren"
        case "delete label":
            ledger.delete_label("birds", "wren")
            expected = [result.example_id for result in resolved.results], "wren"
    revision = ledger.revision
    with pytest.raises(ResolutionChanged) as failure:
        ledger.undo_review("birds", resolved.resolution_id)
    assert (sorted(failure.value.example_ids), failure.value.label_id) == (sorted(expected[0]), expected[1])
    assert ledger.revision == revision
    assert waiting(ledger) == "d"
    assert not verify(ledger.url, quiet)


def test_items_leave_a_day_after_their_resolution_and_stay_gone(ledger: Direct) -> None:
    ledger.review.add([ReviewBatch("birds", [item("soon", expire_time=now() + 3600 * 1_000_000)])])
    ids = ["a", "soon"]
    resolved = ledger.resolve_review(Resolve("birds", ids, LABEL, LabelRecord("robin")))
    deleted = dict(deletion_times(ledger))
    stored = ledger.review.resolution("birds", resolved.resolution_id)
    assert deleted["a"] == stored.time + DAY
    assert deleted["soon"] < stored.time + DAY
    ledger.review.delete_expired(now() + DAY // 2)
    assert ledger.review.items("birds", ids).keys() == {"a"}, "the sooner of its expiry and a day"
    ledger.review.delete_expired(now() + DAY + 1)
    assert ledger.review.items("birds", ids) == {}
    assert ledger.review.activity("birds", 0).dropped == 0, "resolved items are not dropped"
    undone = ledger.undo_review("birds", resolved.resolution_id)
    assert (list(undone.item_ids), len(undone.example_ids)) == ([], 2)
    assert list(ledger.examples("birds")) == []


def deletion_times(ledger: Direct) -> list[tuple[str, int]]:
    columns = schema.review_items.c
    with ledger.ledger._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(columns.id, columns.delete_time))]


def test_two_people_resolve_the_same_items_at_once(server: Postgres) -> None:
    with Direct.of(server.database()) as ledger:
        ledger.create_collection(collection())
        ids = [f"i{number}" for number in range(40)]
        ledger.review.add([ReviewBatch("birds", [item(name) for name in ids])])
        results: dict[str, Resolved] = {}
        ready = threading.Barrier(2)

        def work(name: str, order: list[str]) -> None:
            with Ledger.open(ledger.url) as own:
                ready.wait(30)
                with own.begin() as writer:
                    label = LabelRecord(name)
                    found = writer.resolve_review(Resolve("birds", order, NEW_LABEL, label, actor=name))
                    assert isinstance(found, Resolved)
                    results[name] = found

        threads = [
            threading.Thread(target=work, args=("ann", ids)),
            threading.Thread(target=work, args=("bob", ids[::-1])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        first, second = sorted(results, key=lambda name: results[name].resolution_id == "")
        assert set(outcomes(results[first])) == {"resolved"}
        assert {(one.outcome, one.resolved_by, one.resolved_label_id) for one in results[second].results} == {
            ("already_resolved", first, first)
        }
        assert [label.id for label in ledger.labels("birds")] == [first]
        assert len(list(ledger.examples("birds"))) == 40
        assert not verify(ledger.url, quiet)
