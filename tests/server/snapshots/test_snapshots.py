"""Tests that a view from a snapshot equals the view from the ledger, and that invalid snapshots are ignored."""

import asyncio
import json
import logging
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot import HeadKind, fit, normalize
from glimpse.ledger import AttachmentRecord, CollectionRecord, ExampleRecord, Head, LabelRecord
from glimpse.ledger.changes.hash_chain import FIRST
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.fit_data import gather
from glimpse.server.snapshots import LoadedSnapshot, Snapshots, files, writer
from glimpse.server.snapshots.manifest import Manifest, read_manifest
from glimpse.server.snapshots.writer import ViewCapture, write_snapshot
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.corrupt_files import flip_bit, truncate

Array = npt.NDArray[np.float32]
D = 8
RNG = np.random.default_rng(5)
CENTRES = RNG.normal(size=(10_200, D))
QUERIES = normalize(CENTRES[:20].astype(np.float32))
HEAD = Head("this ledger", 70, "digest of 70", 0)
RECORD = CollectionRecord("c", "backbones/b", "s", D, revision=70, create_time=1)


def examples(
    rows: list[int], start: int = 1, domains: tuple[str, ...] = ("",), groups: tuple[str, ...] = ("",)
) -> list[ExampleRecord]:
    noise = np.random.default_rng(start).normal(size=(len(rows), D))
    vectors = normalize((CENTRES[rows] + 0.4 * noise).astype(np.float32))
    return [
        ExampleRecord(
            f"e/{sequence} ü",
            f"l{row}",
            f"sha256:{sequence % 7:016x}{0:048x}",
            1,
            vector.astype("<f4").tobytes(),
            domains[sequence % len(domains)],
            sequence=sequence,
            group=groups[sequence % len(groups)],
        )
        for sequence, (row, vector) in enumerate(zip(rows, vectors, strict=True), start)
    ]


def a_view(labels: list[LabelRecord], enrolled: list[ExampleRecord], **fields: int) -> CollectionView:
    view = CollectionView(replace(RECORD, **fields), lambda _: None)  # type: ignore[arg-type]
    for label in labels:
        view.put_label(label)
    for start in range(0, len(enrolled), 100):
        view.add_examples(enrolled[start : start + 100])
    return view


def plain() -> CollectionView:
    return a_view([LabelRecord(f"l{row}") for row in range(5)], examples([row % 5 for row in range(300)]))


def with_domains() -> CollectionView:
    labels = [LabelRecord(f"l{row}") for row in range(5)]
    return a_view(labels, examples([row % 5 for row in range(300)], domains=("here", "", "there")))


def with_groups() -> CollectionView:
    labels = [LabelRecord(f"l{row}") for row in range(5)]
    return a_view(labels, examples([row % 5 for row in range(300)], groups=("clip 1", "", "clip ☃", "")))


def with_roles() -> CollectionView:
    roles = {1: col.LABEL_ROLE_NEGATIVE, 2: col.LABEL_ROLE_UNLABELED}
    labels = [LabelRecord(f"l{row}", role=roles.get(row, 0)) for row in range(5)]
    return a_view(labels, examples([row % 5 for row in range(300)]))


def with_prompts() -> CollectionView:
    vectors = [normalize(centre.astype(np.float32)).tobytes() for centre in CENTRES[:7, ::-1]]
    labels = [LabelRecord(f"l{row}", prompts=("a",), prompt_vector=vectors[row]) for row in (0, 1, 6)]
    labels += [LabelRecord(f"l{row}") for row in (2, 3, 4)]
    return a_view(labels, examples([row % 5 for row in range(300)]))


def independent() -> CollectionView:
    labels = [LabelRecord(f"l{row}") for row in range(5)]
    enrolled = examples([row % 5 for row in range(300)])
    return a_view(labels, enrolled, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)


def thousands_of_labels() -> CollectionView:
    labels = [LabelRecord(f"l{row}") for row in range(3_000)]
    return a_view(labels, examples([row % 2_500 for row in range(4_000)]))


def more_labels_than_are_added_up() -> CollectionView:
    labels = [LabelRecord(f"l{row}") for row in range(10_100)]
    return a_view(labels, examples(list(range(10_100))))


def a_part_deleted() -> CollectionView:
    view = plain()
    for sequence in range(3, 200, 4):
        view.remove_examples([f"e/{sequence} ü"])
    view.remove_label("l2")
    return view


KINDS = [
    plain,
    with_domains,
    with_groups,
    with_roles,
    with_prompts,
    independent,
    thousands_of_labels,
    more_labels_than_are_added_up,
    a_part_deleted,
]


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits files of vectors to 64 examples."""
    monkeypatch.setattr(writer, "_PART_BYTES", 64 * 4 * D)


def snapshot(view: CollectionView, home: Path, head: Head = HEAD) -> tuple[Path, Manifest]:
    folder = home / "c" / str(head.revision)
    return folder, write_snapshot(ViewCapture.of(view, head), folder, None)


def load(
    home: Path,
    labels: list[LabelRecord],
    record: CollectionRecord = RECORD,
    attached: AttachmentRecord | None = None,
    head: Head = HEAD,
    digest: str = HEAD.digest,
) -> LoadedSnapshot | None:
    snapshots = Snapshots(home, seconds=0, examples=1)
    return snapshots.load(record, labels, attached, head, lambda _: digest)


def again(view: CollectionView, home: Path) -> CollectionView:
    """Writes the view as a snapshot and reads it back."""
    snapshot(view, home)
    loaded = load(home, list(view.labels.values()), view.record)
    assert loaded is not None
    assert loaded.revision == HEAD.revision
    return loaded.view


def check_same(one: CollectionView, other: CollectionView) -> None:
    assert one.labels == other.labels
    assert len(one.examples) == len(other.examples)
    sequences = sorted(one.examples.sequences().tolist())
    assert sequences == sorted(other.examples.sequences().tolist())
    numbers = np.array(sequences, np.int64)
    assert one.examples.domains(numbers) == other.examples.domains(numbers)
    assert one.examples.groups(numbers) == other.examples.groups(numbers)
    if one.independent:
        assert one.examples.content_keys(numbers) == other.examples.content_keys(numbers)
    for label in one.labels:
        assert one.examples.count(label) == other.examples.count(label)
        assert one.examples.enrolled_ids(label).tolist() == other.examples.enrolled_ids(label).tolist()
        assert one.classifier.count(label) == other.classifier.count(label)
    for sequence in sequences[::37]:
        example = one.examples.example(sequence)
        assert example is not None
        assert other.examples.example(sequence) == example
        assert other.examples.find(example[0]) == sequence
    for mine, others in zip(one.indexes, other.indexes, strict=True):
        assert len(mine) == len(others)
        cosines, ids = mine.search(QUERIES, 10)
        others_cosines, others_ids = others.search(QUERIES, 10)
        assert np.array_equal(cosines, others_cosines)
        assert np.array_equal(ids, others_ids)
    assert np.allclose(scores(one), scores(other), atol=1e-4)


def scores(view: CollectionView) -> Array:
    """Returns the scores of the labels in a fixed order, as differences: a common offset has no meaning."""
    order = np.argsort(view.classifier.labels)
    rows = np.broadcast_to(order[:50], (len(QUERIES), len(order[:50])))
    kinds = (HeadKind.CLASS_MEAN, HeadKind.LDA)
    found = [view.classifier.scores(kind, QUERIES, rows) for kind in kinds]
    return np.stack([each - each.mean(axis=1, keepdims=True) for each in found])


def fitted(view: CollectionView) -> CollectionView:
    material = gather(view)
    view.classifier.adopt(fit(material.read(), independent=view.independent), material.token, complete=material.whole)
    return view


@pytest.mark.parametrize("make", KINDS)
def test_snapshot_gives_the_view_of_the_ledger(make: Callable[[], CollectionView], tmp_path: Path) -> None:
    view = make()
    found = again(view, tmp_path)
    check_same(found, view)
    if len(view.labels) < 100:
        check_same(fitted(found), fitted(view))
    # Removing an example reverses its effect on both.
    for one in (view, found):
        one.add_examples(examples([0, 3, 4], 20_001))
        for sequence in (1, 2, 4, 20_002):
            if (example := one.examples.example(sequence)) is not None:
                one.remove_examples([example[0]])
        one.remove_label("l4")
    check_same(found, view)


def test_adapted_collection_is_written_with_its_original_vectors(tmp_path: Path) -> None:
    shift = normalize(np.ones((1, D), np.float32))[0]
    rows = [row % 5 for row in range(300)]
    moved = []
    for one in examples(rows, domains=("here", "there")):
        vector = np.frombuffer(one.vector, "<f4") + (1.5 * shift if one.domain == "there" else 0)
        moved.append(replace(one, vector=normalize(vector.astype(np.float32)).tobytes()))
    view = fitted(a_view([LabelRecord(f"l{row}") for row in range(5)], moved))
    assert view.classifier.adapted
    check_same(again(view, tmp_path), a_view(list(view.labels.values()), moved))


def test_unchanged_files_of_vectors_are_not_written_again(tmp_path: Path) -> None:
    view = plain()
    first = snapshot(view, tmp_path)
    view.remove_examples(["e/70 ü"])
    view.add_examples(examples([0, 1, 2], 301))
    later = replace(HEAD, revision=71)
    folder = tmp_path / "c" / "71"
    manifest = write_snapshot(ViewCapture.of(view, later), folder, first)
    pairs = zip(manifest.parts[:5], first[1].parts, strict=True)
    assert [part.count for part in manifest.parts] == [64, 63, 64, 64, 44, 3]
    assert [(folder / part.file).samefile(first[0] / old.file) for part, old in pairs] == [
        True,
        False,
        True,
        True,
        True,
    ]
    loaded = load(tmp_path, list(view.labels.values()), head=later)
    assert loaded is not None
    check_same(loaded.view, view)


def test_example_deleted_during_the_write_is_left_out(tmp_path: Path) -> None:
    view = plain()
    taken = ViewCapture.of(view, HEAD)
    view.remove_examples(["e/5 ü"])
    view.indexes.answering.remove([9])  # between listing the examples and reading their vectors
    manifest = write_snapshot(taken, tmp_path / "c" / "70", None)
    assert manifest.count == 298
    loaded = load(tmp_path, list(view.labels.values()))
    assert loaded is not None
    view.indexes.answering.add([9], np.frombuffer(examples([row % 5 for row in range(300)])[8].vector, "<f4")[None])
    view.remove_examples(["e/9 ü"])
    check_same(loaded.view, view)


def test_examples_of_a_replaced_label_are_left_out(tmp_path: Path) -> None:
    view = plain()
    snapshot(view, tmp_path)
    labels = [replace(one, create_time=9) if one.id == "l1" else one for one in view.labels.values() if one.id != "l3"]
    loaded = load(tmp_path, labels)
    assert loaded is not None
    left = [one for one in examples([row % 5 for row in range(300)]) if one.label_id not in ("l1", "l3")]
    check_same(loaded.view, a_view(labels, left))


FILES = ["manifest.json", "sequences.npy", "codes.npy", "ids.jsonl", "labels.json", "sums.npy", "vectors-00003.npy"]


@pytest.mark.parametrize("harm", [flip_bit, truncate, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_damaged_snapshot_is_not_used(
    name: str, harm: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    view = plain()
    folder, _ = snapshot(view, tmp_path)
    harm(folder / name)
    assert load(tmp_path, list(view.labels.values())) is None
    [record] = caplog.records
    assert name.split(".")[0] in record.getMessage()
    assert record.exc_info is None


CASES: dict[str, tuple[Callable[[Path, list[LabelRecord]], LoadedSnapshot | None], str]] = {
    "another ledger": (partial(load, head=replace(HEAD, ledger_id="other")), "another ledger"),
    "newer than the ledger": (partial(load, head=replace(HEAD, revision=69), digest=FIRST), "restored"),
    "another history": (partial(load, digest="other"), "restored"),
    "no such change": (partial(load, head=replace(HEAD, revision=90), digest=FIRST), "restored"),
    "another collection of its name": (partial(load, record=replace(RECORD, create_time=2)), "deleted"),
    "another space": (partial(load, record=replace(RECORD, embedding_space="other")), "embedding space"),
    "another index": (partial(load, attached=AttachmentRecord("i", "digest")), "another index"),
    "too old": (
        partial(load, head=replace(HEAD, revision=200_000), record=replace(RECORD, revision=150_000)),
        "199930 changes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_snapshot_of_another_origin_is_not_used(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    view = plain()
    snapshot(view, tmp_path)
    act, reason = CASES[case]
    assert act(tmp_path, list(view.labels.values())) is None
    [record] = caplog.records
    assert reason in record.getMessage()


def test_snapshot_in_another_format_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, _ = snapshot(plain(), tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 0}))
    assert load(tmp_path, [LabelRecord(f"l{row}") for row in range(5)]) is None
    assert "cannot read its manifest" in caplog.text


def test_older_snapshot_is_used_if_the_newest_is_damaged(tmp_path: Path) -> None:
    view = plain()
    snapshot(view, tmp_path)
    folder, _ = snapshot(view, tmp_path, replace(HEAD, revision=80))
    flip_bit(folder / "codes.npy")
    loaded = load(tmp_path, list(view.labels.values()), head=replace(HEAD, revision=80))
    assert loaded is not None
    assert loaded.revision == 70


@contextmanager
def full_disk() -> Iterator[None]:
    """Limits every file to 1,000 bytes. Keep the block short: pytest's own output may be longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_keeps_the_earlier_snapshot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    view = plain()

    async def work() -> None:
        snapshots = Snapshots(tmp_path, seconds=1, examples=1)

        async def reached() -> Head:
            return replace(HEAD, revision=view.record.revision)

        snapshots.start([view], reached)
        await snapshots.finish(time.monotonic() + 20)
        view.add_examples(examples([0, 1], 301))
        view.set_revision(71)
        with full_disk():
            await snapshots.finish(time.monotonic() + 20)
        await snapshots.close()

    asyncio.run(work())
    assert [folder.name for folder in (tmp_path / "c").iterdir()] == ["70"]
    assert read_manifest(tmp_path / "c" / "70").count == 300
    [record] = [one for one in caplog.records if one.levelno > logging.INFO]
    assert "cannot write a snapshot" in record.getMessage()


def test_view_can_change_during_a_write(tmp_path: Path) -> None:
    """The written snapshot is consistent despite changes: each example has its own vector and label."""
    view, ended = plain(), threading.Event()

    def change() -> None:
        sequence = 1_000
        while not ended.is_set():
            some = examples([0, 1, 2], sequence)
            view.add_examples(some)
            for one in some[:2]:
                view.remove_examples([one.id])
            sequence += 3

    kept = {one.sequence: one for one in examples([row % 5 for row in range(300)])}
    thread = threading.Thread(target=change)
    thread.start()
    try:
        taken = [ViewCapture.of(view, HEAD)]
        snapshots = [snapshot_of(taken[0], tmp_path / str(number)) for number in range(5)]
    finally:
        ended.set()
        thread.join()
    for home in snapshots:
        loaded = load(home, list(view.labels.values()))
        assert loaded is not None
        for sequence, one in kept.items():
            assert loaded.view.examples.example(sequence) == (one.id, one.label_id)
            assert loaded.view.indexes.answering.vector(sequence).tobytes() == one.vector


def snapshot_of(taken: ViewCapture, home: Path) -> Path:
    write_snapshot(taken, home / "c" / "70", None)
    return home


def test_a_snapshot_from_before_groups_is_read(tmp_path: Path) -> None:
    view = plain()
    folder, manifest = snapshot(view, tmp_path)
    (folder / "groups.npy").unlink()
    names = json.loads((folder / "labels.json").read_bytes())
    del names["groups"]
    (folder / "labels.json").unlink()
    digest = files.write_json(folder / "labels.json", names)
    kept = {name: sha256 for name, sha256 in manifest.files.items() if name != "groups.npy"} | {"labels.json": digest}
    writer._write_manifest(manifest.model_copy(update={"files": kept}).with_digest(), folder)
    loaded = load(tmp_path, list(view.labels.values()), view.record)
    assert loaded is not None
    check_same(view, loaded.view)
    assert loaded.view.examples.groups(view.examples.sequences()) == ()
