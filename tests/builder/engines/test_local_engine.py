"""The pipeline alone: order, failures, errors that stop it, and how far it reads ahead."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.backbone import Embedder, InputError
from glimpse.builder.engines.encode_rows import Made, Rows
from glimpse.builder.engines.local_engine import WINDOW, Local, each_once
from glimpse.builder.output.existing_rows import Ids, Known, make_known
from glimpse.index.storage.shard_set import Shards
from glimpse.inputs import Entry, Unreadable
from support.bundles import tiny_dual_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(tiny_dual_bundle(tmp_path_factory.mktemp("windows") / "bundle"), threads=1)


@pytest.fixture
def local(reader: Embedder, tmp_path: Path) -> Iterator[Local]:
    make_known(tmp_path / "known", [], [])
    with closing(Known(tmp_path / "known")) as known:
        yield Local(reader, known, Rows(reader, Shards([], reader.manifest.dimension), "float32"), 2)


def entries_of(count: int) -> list[Entry | Unreadable]:
    words = ("one", "two", "three", "four five six seven", "eight nine")
    return [Entry(f"t{i}", f"/t{i}", "text", None, None, f"{words[i % 5]} {words[i % 3]}") for i in range(count)]


def run(local: Local, entries: Iterable[Entry | Unreadable]) -> list[Made]:
    made: list[Made] = []
    local.run(iter(entries), made.append)
    return made


def test_rows_come_in_the_order_of_the_inputs_with_their_own_vectors(local: Local, reader: Embedder) -> None:
    entries = entries_of(2 * WINDOW + 10)
    made = run(local, entries)
    assert [one.tally.inputs for one in made] == [WINDOW, WINDOW, 10]
    found = [row for one in made if one.table for row in one.table.to_pylist()]
    assert [row["id"] for row in found] == [one.id for one in entries]
    # There are fifteen different texts; each is encoded once per window.
    assert [one.tally.encoded for one in made] == [15, 15, 10]
    for i in (0, 3, WINDOW + 7):
        content = entries[i].content  # type: ignore[union-attr]
        assert isinstance(content, str)
        alone = reader.encode("text", [reader.prepare("text", content.encode())])[0]
        assert np.dot(alone, found[i]["vector"]) == pytest.approx(1, abs=1e-5)


def test_an_input_fails_alone(local: Local, tmp_path: Path) -> None:
    entries: list[Entry | Unreadable] = entries_of(3)
    entries[1:1] = [
        Unreadable("x.csv:2", None, "ROW_MALFORMED", "no row"),
        Entry("gone", "gone.png", "image", None, None, tmp_path / "gone.png"),
        Entry("broken", "broken.png", "image", None, None, b"no picture"),
    ]
    [made] = run(local, entries)
    assert [one.reason for one in made.failures] == ["ROW_MALFORMED", "FILE_UNREADABLE", "IMAGE_FORMAT_UNKNOWN"]
    assert made.table is not None
    assert made.table.column("id").to_pylist() == ["t0", "t1", "t2"]
    assert (made.tally.inputs, made.tally.failed, made.tally.rows) == (6, 3, 3)


def test_an_input_without_a_vector_fails_and_the_rest_of_its_batch_does_not(
    local: Local, reader: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = reader.encode

    def some_nan(kind: Any, inputs: Any) -> Any:
        vectors = encode(kind, inputs)
        vectors[[len(one) == 4 for one in inputs]] = np.nan
        return vectors

    monkeypatch.setattr(reader, "encode", some_nan)
    entries: list[Entry | Unreadable] = [
        Entry(str(i), "", "text", None, None, text)
        for i, text in enumerate(("one", "one two three four", "two", "three"))
    ]
    [made] = run(local, entries)
    assert [(one.id, one.reason) for one in made.failures] == [("1", "VECTOR_NOT_FINITE")]
    assert made.table is not None
    assert made.table.column("id").to_pylist() == ["0", "2", "3"]
    assert np.isfinite(made.table.column("vector").combine_chunks().flatten().to_numpy()).all()


def test_the_same_id_twice_is_an_error_of_the_later(tmp_path: Path) -> None:
    entries = [*entries_of(2), *entries_of(1), Unreadable("t0", "t0", "ROW_MALFORMED", "")]
    with closing(Ids(tmp_path / "ids")) as ids:
        found = list(each_once(entries, ids))
    assert [one.id for one in found] == ["t0", "t1", "t0", "t0"]
    assert [one.reason for one in found if isinstance(one, Unreadable)] == ["DUPLICATE_ID", "ROW_MALFORMED"]


def test_nothing_is_written_after_a_failed_write(local: Local) -> None:
    written: list[int] = []

    def write(made: Made) -> None:
        if len(written) == 1:
            raise OSError(28, "No space left on device")
        written.append(made.tally.inputs)

    with pytest.raises(OSError, match="No space"):
        local.run(iter(entries_of(6 * WINDOW)), write)
    assert written == [WINDOW]


def test_inputs_that_end_in_an_error_end_it_after_the_windows_before(local: Local) -> None:
    def entries() -> Iterator[Entry | Unreadable]:
        yield from entries_of(2 * WINDOW + 5)
        raise RuntimeError("the list ends here")

    made: list[Made] = []
    with pytest.raises(RuntimeError, match="ends here"):
        local.run(entries(), made.append)
    assert len(made) == 2


def test_an_interruption_keeps_finished_rows_and_ends_every_thread(
    local: Local, reader: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Made] = []
    whole = local.rows.make
    calls = 0

    def interrupted(window: Any) -> Made:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return whole(window)

    monkeypatch.setattr(local.rows, "make", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        local.run(iter(entries_of(10 * WINDOW)), made.append)
    assert [one.tally.inputs for one in made] == [WINDOW, WINDOW]
    assert threading.active_count() == before


def test_it_reads_no_more_than_some_windows_ahead(local: Local) -> None:
    """Otherwise memory would grow with the number of inputs if encoding is slow."""
    taken, most = 0, 0

    def entries() -> Iterator[Entry | Unreadable]:
        nonlocal taken
        for one in entries_of(20 * WINDOW):
            taken += 1
            yield one

    done = 0

    def write(made: Made) -> None:
        nonlocal done, most
        done += made.tally.inputs
        most = max(most, taken - done)

    local.run(entries(), write)
    assert done == taken == 20 * WINDOW
    assert most <= 6 * WINDOW


def test_pictures_that_wait_to_be_decoded_are_few(
    local: Local, reader: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waiting picture holds its bytes in memory."""
    lock, held, most = threading.Lock(), 0, 0

    def entries() -> Iterator[Entry | Unreadable]:
        nonlocal held, most
        for i in range(2 * WINDOW):
            with lock:
                held += 1
                most = max(most, held)
            yield Entry(str(i), "", "image", None, None, i.to_bytes(2, "big"))

    def refused(kind: Any, content: bytes) -> Any:
        nonlocal held
        with lock:
            held -= 1
        raise InputError("IMAGE_FORMAT_UNKNOWN", "no picture")

    monkeypatch.setattr(reader, "prepare", refused)
    made = run(local, entries())
    assert sum(one.tally.failed for one in made) == 2 * WINDOW
    assert most <= 4 * 2 + 1
