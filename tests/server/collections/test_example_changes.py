"""Tests that a view after updates of its examples is the view of the same examples enrolled with the new values."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.fewshot import HeadKind, fit, normalize
from glimpse.fewshot.fit import Fitted
from glimpse.ledger import Change, CollectionRecord, Delta, ExampleRecord, Head, LabelRecord
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.fit_data import gather
from glimpse.server.snapshots import Snapshots
from glimpse.server.snapshots.writer import ViewCapture, write_snapshot
from glimpse.v1 import collection_service_pb2 as col

D = 8
CENTRES = np.random.default_rng(5).normal(size=(3, D))
QUERIES = normalize(np.random.default_rng(6).normal(size=(12, D)).astype(np.float32))
PROMPT = normalize(CENTRES[:1].astype(np.float32))[0].tobytes()
#: Two classes, one of them with a prompt; a class without examples; negative and unlabeled examples.
LABELS = [
    LabelRecord("a", create_time=1),
    LabelRecord("b", prompts=("b",), prompt_vector=PROMPT, create_time=1),
    LabelRecord("c", create_time=1),
    LabelRecord("none", role=col.LABEL_ROLE_NEGATIVE, create_time=1),
    LabelRecord("any", role=col.LABEL_ROLE_UNLABELED, create_time=1),
]
# Kind and subject of a change.
_Change = tuple[str, dict[str, object]]
RECORD = CollectionRecord("birds", "backbones/b", "s", D, revision=1, create_time=1)
HEAD = Head("this ledger", 1, "digest of 1", 0)


def example(sequence: int) -> ExampleRecord:
    row = sequence % 3
    noise = 0.5 * np.random.default_rng(sequence).normal(size=(1, D))
    vector = normalize((CENTRES[row] + noise).astype(np.float32))[0]
    label, digest = ("a", "b", "none")[row], f"sha256:{sequence:064x}"
    return ExampleRecord(f"e{sequence}", label, digest, 1, vector.tobytes(), sequence=sequence, create_time=1)


EXAMPLES = [example(sequence) for sequence in range(1, 25)]


def view_of(examples: Sequence[ExampleRecord], labels: Sequence[LabelRecord] = LABELS) -> CollectionView:
    view = CollectionView(RECORD, lambda _: None)
    for label in labels:
        view.put_label(label)
    view.add_examples(examples)
    return view


def fitted(view: CollectionView, result: Fitted | None = None) -> CollectionView:
    """Adopts a fit of the view's examples, or a copy of the result of one."""
    data = gather(view)
    view.classifier.adopt(copy.deepcopy(result) if result else fit(data.read()), data.token, complete=data.whole)
    return view


@cache
def a_fit() -> Fitted:
    return fit(gather(view_of(EXAMPLES)).read())


def check_same(one: CollectionView, other: CollectionView) -> None:
    ids = np.sort(one.examples.sequences())
    assert ids.tolist() == np.sort(other.examples.sequences()).tolist()
    assert one.examples.examples(ids[None]) == other.examples.examples(ids[None])
    assert list(one.examples.domains(ids)) == list(other.examples.domains(ids))
    assert list(one.examples.groups(ids)) == list(other.examples.groups(ids))
    assert sorted(one.classifier.labels) == sorted(other.classifier.labels)
    for label in one.labels:
        assert sorted(one.examples.enrolled_ids(label)) == sorted(other.examples.enrolled_ids(label))
        assert one.classifier.count(label) == other.classifier.count(label)
    for mine, theirs in zip(one.indexes, other.indexes, strict=True):
        assert len(mine) == len(theirs)
        cosines, found_ids = mine.search(QUERIES, 30)
        others_cosines, others_ids = theirs.search(QUERIES, 30)
        assert np.array_equal(cosines, others_cosines)
        assert np.array_equal(found_ids, others_ids)
    check_scores(one, other, 1e-5)


def check_scores(one: CollectionView, other: CollectionView, tolerance: float) -> None:
    """Compares the scores of both heads; a common offset has no meaning."""
    for kind in (HeadKind.CLASS_MEAN, HeadKind.LDA):
        found = []
        for view in (one, other):
            rows = np.broadcast_to(np.argsort(view.classifier.labels), (len(QUERIES), len(view.classifier.labels)))
            scores = view.classifier.scores(kind, QUERIES, rows)
            found.append(scores - scores.mean(axis=1, keepdims=True))
        assert np.allclose(found[0], found[1], atol=tolerance)


UPDATES = st.lists(
    st.tuples(
        st.lists(st.integers(0, len(EXAMPLES) - 1), min_size=1, max_size=14, unique=True),
        st.fixed_dictionaries(
            {},
            optional={
                "label_id": st.sampled_from([label.id for label in LABELS]),
                "domain": st.sampled_from(["", "garden", "forest"]),
                "group": st.sampled_from(["", "clip 1", "clip 2"]),
            },
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(UPDATES, st.booleans())
@settings(max_examples=10, deadline=None)
def test_an_update_is_a_deletion_and_an_enrolment(
    updates: list[tuple[list[int], dict[str, str]]], fit_first: bool
) -> None:
    now = list(EXAMPLES)
    updated, enrolled = view_of(now), view_of(now)
    if fit_first:
        fitted(updated, a_fit()), fitted(enrolled, a_fit())
    for places, values in updates:
        changed = [replace(now[place], **values) for place in places]  # type: ignore[arg-type]
        updated.update_examples(changed)
        enrolled.remove_examples([one.id for one in changed])
        enrolled.add_examples(changed)
        for place, one in zip(places, changed, strict=True):
            now[place] = one
        check_same(updated, enrolled)
        mine, theirs = updated.classifier.lda.moments, enrolled.classifier.lda.moments
        assert mine.labels == theirs.labels
        count = len(mine.labels)
        assert np.array_equal(mine._sums[:count], theirs._sums[:count])
        assert np.array_equal(mine.counts, theirs.counts)
    fresh = view_of(now)
    assert {label: fresh.examples.enrolled_ids(label).tolist() for label in fresh.labels} == {
        label: updated.examples.enrolled_ids(label).tolist() for label in updated.labels
    }


def test_a_fit_after_updates_is_that_of_the_same_examples_enrolled() -> None:
    changed = [replace(one, label_id="c", domain="garden", group="clip") for one in EXAMPLES[3:9]]
    changed += [replace(one, label_id="a") for one in EXAMPLES[9:14]]
    updated = fitted(view_of(EXAMPLES), a_fit())
    updated.update_examples(changed)
    check_scores(fitted(updated), fitted(view_of([*EXAMPLES[:3], *changed, *EXAMPLES[14:]])), 1e-3)


def test_deleting_many_is_deleting_one_by_one() -> None:
    for names in (["e1", "e2", "e3"], [f"e{number}" for number in range(1, 21)]):
        at_once, by_one, left = view_of(EXAMPLES), view_of(EXAMPLES), [one for one in EXAMPLES if one.id not in names]
        at_once.remove_examples(names)
        for name in names:
            by_one.remove_examples([name])
        check_same(at_once, by_one)
        check_same(at_once, view_of(left))
    with pytest.raises(KeyError, match="e1"):
        at_once.remove_examples(["e24", "e1"])
    assert at_once.examples.find("e24")


def test_the_vectors_of_a_relabelled_example_are_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(EXAMPLES)

    def refuse(*_: object) -> None:
        raise AssertionError

    for index in view.indexes:
        monkeypatch.setattr(index._living, "add", refuse)
        monkeypatch.setattr(index._living, "remove", lambda ids: None if not len(ids) else refuse())
    view.update_examples([replace(EXAMPLES[0], label_id="c", domain="garden")])  # both labels can answer
    assert view.examples.example(1) == ("e1", "c")
    with pytest.raises(AssertionError):
        view.update_examples([replace(EXAMPLES[0], label_id="none")])


def delta(changes: Sequence[_Change], examples: Sequence[ExampleRecord], *labels: LabelRecord) -> Delta:
    """Returns changes from revision 2 on, with the present labels and examples."""
    made = [Change(2 + place, kind, "birds", subject, 2, "", "") for place, (kind, subject) in enumerate(changes)]
    by_label = {("birds", label.id): label for label in labels}
    return Delta(made, {"birds": RECORD}, by_label, {("birds", one.id): one for one in examples}, "digest of 1")


def follow(view: CollectionView, changes: Delta) -> CollectionView:
    applier = ChangeApplier({"birds": view}, changes, lambda _: None)
    applier.apply()
    assert not applier.rebuild
    return view


def updated(*ids: str, label: str) -> _Change:
    return "update_examples", {"examples": [*ids], "fields": ["label_id"], "label": label, "digests": []}


def test_another_server_applies_updates_and_deletions() -> None:
    changed = [replace(one, label_id="c", group="clip") for one in EXAMPLES[:12]]
    changes = delta([updated(*(one.id for one in changed), label="c")], changed, *LABELS)
    view = follow(view_of(EXAMPLES), changes)
    check_same(view, view_of([*changed, *EXAMPLES[12:]]))
    check_same(follow(view, changes), view_of([*changed, *EXAMPLES[12:]]))  # again: no effect
    gone: _Change = ("delete_examples", {"examples": ["e1", "e20"], "rows": []})
    for _ in range(2):
        check_same(follow(view, delta([gone], [])), view_of([*changed[1:], *EXAMPLES[12:19], *EXAMPLES[20:]]))


def test_changes_between_an_update_and_now_are_applied_in_order() -> None:
    new = LabelRecord("new", create_time=5)
    first, second = replace(EXAMPLES[0], label_id="new"), replace(EXAMPLES[1], label_id="a")
    # e1 goes to a label made by a later server, e2 there and back, e3 there and away with it.
    old = LabelRecord("new", create_time=4)
    changes: list[_Change] = [
        ("create_label", {"label": "new"}),
        updated("e2", "e3", label="new"),
        updated("e2", label="a"),
        ("delete_label", {"label": "new", "rows": []}),
        ("create_label", {"label": "new"}),
        updated("e1", label="new"),
    ]
    wanted = view_of([first, second, *EXAMPLES[3:]], [*LABELS, new])
    for labels in (LABELS, [*LABELS, old]):
        view = follow(view_of(EXAMPLES, labels), delta(changes, [first, second], *LABELS, new))
        check_same(view, wanted)
        assert view.labels["new"] == new


def test_a_snapshot_written_during_an_update_is_completed_by_the_ledgers_changes(tmp_path: Path) -> None:
    """The captured view loses an example to another role, a new label, and a label that is deleted later."""
    view = view_of(EXAMPLES)
    capture = ViewCapture.of(view, HEAD)
    new = LabelRecord("new", create_time=3)
    view.put_label(new)
    changed = [
        replace(EXAMPLES[0], label_id="none"),
        replace(EXAMPLES[1], label_id="new"),
        replace(EXAMPLES[3], label_id="b", domain="garden"),
        replace(EXAMPLES[2], label_id="a"),
    ]
    view.update_examples(changed)
    # Between the list of the examples and their vectors, e4 goes from one role to another.
    columns = capture.examples.columns

    def columns_then_update(sequences: np.ndarray[tuple[int], np.dtype[np.int64]]) -> object:
        listed = columns(sequences)
        view.update_examples([replace(changed[2], label_id="any")])
        return listed

    capture.examples.columns = columns_then_update  # type: ignore[assignment, method-assign]
    write_snapshot(capture, tmp_path / "birds" / "1", None)
    changed[2] = replace(changed[2], label_id="any")
    loaded = Snapshots(tmp_path, seconds=0, examples=1).load(RECORD, [*LABELS, new], None, HEAD, lambda _: HEAD.digest)
    assert loaded is not None
    assert loaded.view.examples.find("e4") is None
    changes: list[_Change] = [
        ("create_label", {"label": "new"}),
        updated("e1", label="none"),
        updated("e2", label="new"),
        updated("e3", label="a"),
        updated("e4", label="b"),
        updated("e4", label="any"),
    ]
    check_same(
        follow(loaded.view, delta(changes, changed, *LABELS, new)), view_of([*changed, *EXAMPLES[4:]], [*LABELS, new])
    )
