"""Tests fits in the background: every change is fitted, calls wait only for their own, and samples are fair."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot import HeadKind, fit, normalize
from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord
from glimpse.server.collections import fit_data
from glimpse.server.collections import fitter as module
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.fit_data import gather
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.training_examples import TrainingExamples
from glimpse.v1 import types_pb2

Array = npt.NDArray[np.float32]
D = 8
CENTRES = np.random.default_rng(5).normal(size=(40, D))


def records(
    rows: list[int], start: int = 1, domain: str = "", groups: Sequence[str] = ("",)
) -> Iterator[ExampleRecord]:
    noise = np.random.default_rng(start).normal(size=(len(rows), D))
    vectors = normalize((CENTRES[rows] + 0.4 * noise).astype(np.float32))
    for sequence, (row, vector) in enumerate(zip(rows, vectors, strict=True), start):
        data = vector.astype("<f4").tobytes()
        group = groups[(sequence - start) % len(groups)]
        yield ExampleRecord(
            f"e{sequence}",
            f"l{row}",
            f"sha256:{sequence:016x}{0:048x}",
            1,
            data,
            domain,
            sequence=sequence,
            group=group,
        )


def view_of(labels: int, changed: Callable[[CollectionView], None] = lambda _: None, **fields: int) -> CollectionView:
    view = CollectionView(CollectionRecord("c", "backbones/b", "s", D, **fields), changed)  # type: ignore[arg-type]
    for label in range(labels):
        view.put_label(LabelRecord(f"l{label}"))
    return view


async def read_nothing(query: object) -> bool:
    """Stands for the ledger, which is asked only where a backbone is adapted."""
    raise AssertionError(query)


def run(work: Callable[[Fitter, CollectionView], Awaitable[None]], labels: int = 4) -> None:
    async def whole() -> None:
        fitter = Fitter({types_pb2.HEAD_LDA: HeadKind.LDA}, TrainingExamples({}, read_nothing))
        try:
            await work(fitter, view_of(labels, fitter.schedule))
        finally:
            await fitter.close()

    asyncio.run(whole())


def test_wait_for_a_fit_ends_despite_later_changes() -> None:
    async def work(fitter: Fitter, view: CollectionView) -> None:
        sequence = 1

        def enroll() -> None:
            nonlocal sequence
            view.add_examples(list(records([0, 1, 2, 3], sequence)))
            sequence += 4

        async def write() -> None:
            while True:
                enroll()
                await asyncio.sleep(0.002)

        enroll()
        enroll()
        writer = asyncio.create_task(write())
        await fitter.wait_until_fitted(view, time.monotonic() + 20)
        writer.cancel()
        assert view.classifier.fitted is not None
        assert view.accuracy is not None

    run(work)


def test_change_at_the_end_of_a_fit_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.01)

    async def work(fitter: Fitter, view: CollectionView) -> None:
        view.add_examples(list(records([0, 1, 2, 3, 0, 1, 2, 3])))
        [task] = asyncio.all_tasks() - {asyncio.current_task()}
        # Before the fitter's callback runs at the end of its task.
        while not task.done():  # noqa: ASYNC110 (the very turn in which it ends)
            await asyncio.sleep(0)
        view.add_examples(list(records([0, 1, 2, 3], 9)))
        for _ in range(500):
            if view.classifier.is_current:
                break
            await asyncio.sleep(0.01)
        assert view.classifier.is_current

    run(work)


def test_failing_fit_is_logged_once_and_class_means_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Any exception counts as a failure."""

    def fail(*_: object, **__: object) -> None:
        raise KeyError("a mistake")

    async def work(fitter: Fitter, view: CollectionView) -> None:
        view.add_examples(list(records([0, 1, 2, 3, 0, 1, 2, 3])))
        await fitter.wait_until_fitted(view, time.monotonic() + 20)
        before = view.classifier.fitted
        monkeypatch.setattr(module, "fit", fail)
        view.add_examples(list(records([0, 1], 9)))
        await fitter.wait_until_fitted(view, time.monotonic() + 5)
        assert before is not None
        assert view.classifier.fitted is None
        assert view.classifier.head().kind is HeadKind.CLASS_MEAN

    run(work)
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_example_deleted_before_it_is_read_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def work(fitter: Fitter, view: CollectionView) -> None:
        view.add_examples(list(records([0, 1, 2, 3, 0, 1, 2, 3])))
        taken = gather(view)
        view.remove_examples(["e3"])
        with pytest.raises(KeyError):
            taken.read()
        await fitter.wait_until_fitted(view, time.monotonic() + 20)
        assert view.classifier.is_current
        assert view.classifier.count("l2") == 1

    run(work)
    assert not caplog.records


def test_sample_may_omit_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_data, "_MAX_EXAMPLES", 30)
    view = view_of(40)
    view.put_label(LabelRecord("text", prompt_vector=normalize(CENTRES[:1].astype(np.float32))[0].tobytes()))
    view.add_examples(list(records([row for row in range(40) for _ in range(1 if row % 2 else 3)], domain="here")))
    taken = gather(view)
    assert not taken.whole
    assert len(taken.examples.ids) == 30
    assert "text" in taken.labels
    found = taken.read()
    for sequence, row in zip(taken.examples.ids.tolist(), found.rows.tolist(), strict=True):
        assert view.examples.example(sequence) == (f"e{sequence}", found.labels[row])
    # A sample has no domains, so that adaptation applies to all examples or none.
    assert not any(found.domains)
    view.classifier.adopt(fit(found), taken.token, complete=taken.whole)
    assert len(view.classifier.labels) == 41


def test_sample_of_labels_is_unchanged_after_a_deleted_enrolment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_data, "_MAX_LABELS", 10)
    monkeypatch.setattr("glimpse.fewshot.heads.lda.MOST_EXACT", 20)
    view = view_of(41)
    view.add_examples(list(records([row for row in range(40) for _ in range(2)])))
    before = gather(view)
    assert len(before.labels) == 10
    view.add_examples(list(records([3], 200)))
    view.remove_examples(["e200"])
    for one in records([7, 7], 300):
        view.add_examples([one])
    for sequence in (300, 301):
        view.remove_examples([f"e{sequence}"])
    # Whole labels are removed and added again.
    gone = list(records([row for row in range(40) for _ in range(2)]))[:40]
    for example in gone:
        view.remove_examples([example.id])
    view.add_examples(gone)
    assert gather(view).labels == before.labels


def test_equal_contents_have_equal_numbers_if_labels_are_independent() -> None:
    view = view_of(3, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    first, second, third = records([0, 1, 2])
    view.add_examples([first, second, replace(third, content_digest=first.content_digest)])
    contents = gather(view).contents
    assert contents is not None
    assert (contents[0] == contents[2], contents[0] == contents[1]) == (True, False)


def test_examples_of_one_group_have_equal_numbers() -> None:
    view = view_of(2)
    view.add_examples(list(records([0, 0, 1, 1, 0, 1], groups=("clip", "", "clip", "", "burst", "burst"))))
    groups = gather(view).read().groups
    assert groups is not None
    assert groups.tolist() == [0, 1, 0, 2, 3, 3]
    view.remove_examples(["e1"])
    view.remove_examples(["e5"])
    groups = gather(view).read().groups
    assert groups is not None
    assert len(set(groups.tolist())) == 4  # the groups have one example each, and two examples have none
    ungrouped = view_of(2)
    ungrouped.add_examples(list(records([0, 1])))
    assert gather(ungrouped).read().groups is None


def test_close_does_not_wait_for_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()

    def slow(*_: object, **__: object) -> None:
        going.set()
        time.sleep(20)

    monkeypatch.setattr(module, "fit", slow)
    ended: list[float] = []

    async def work(fitter: Fitter, view: CollectionView) -> None:
        view.add_examples(list(records([0, 1, 0, 1])))
        await asyncio.to_thread(going.wait, 10)
        ended.append(time.monotonic())

    run(work)
    assert time.monotonic() - ended[0] < 10
