"""Tests that the bytes of deleted queries are gone from every file of a SQLite ledger."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from glimpse.ledger import LabelRecord, Ledger, ResolutionKind, Resolve, ReviewBatch, sqlite_url
from glimpse.ledger.database import deleted_bytes
from support.ledgers import Direct
from support.review import DAY, collection, item, now, parts, sample

# Dimensions whose vectors fit into a page of SQLite with others, alone, and not at all.
_DIMENSIONS = (64, 384, 768, 1_536)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Direct]:
    with Direct.of(tmp_path) as ledger:
        # Debian's SQLite overwrites by default, others do not.
        engine = ledger.ledger._engine
        event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA secure_delete=OFF"))
        ledger.create_collection(collection())
        ledger.create_collection(collection("fish"))
        yield ledger


def traces(folder: Path, contents: list[bytes]) -> int:
    """Returns how many contents have left bytes in the files: any 8 of each 32."""
    files = b"\n".join(file.read_bytes() for file in folder.iterdir())
    probes = np.concatenate([np.frombuffer(one[: len(one) // 32 * 32], "<u8")[::4] for one in contents])
    owners = np.repeat(np.arange(len(contents)), [len(one) // 32 for one in contents])
    left = np.zeros(len(probes), bool)
    for shift in range(8):  # bytes in a page are not aligned
        end = shift + (len(files) - shift) // 8 * 8
        left |= np.isin(probes, np.frombuffer(files[shift:end], "<u8"))
    return len(set(owners[left].tolist()))


def fill(ledger: Direct, name: str, number: int, expire_time: int) -> dict[str, list[bytes]]:
    """Adds items of all sizes to a collection, and samples; returns the bytes of each item, and under "" of samples."""
    written: dict[str, list[bytes]] = {"": []}
    for start in range(0, number, 20):
        items, contents = [], []
        for one in range(start, min(start + 20, number)):
            size = _DIMENSIONS[one % len(_DIMENSIONS)]
            vector = os.urandom(4 * size)
            written[""].append(os.urandom(4 * size))
            content = os.urandom(random.choice([40, 3_000, 20_000])) if one % 3 else b""
            items.append(item(f"{name}{one}", content, vector=vector, expire_time=expire_time))
            contents += parts(f"{name}{one}", content, 9_000)
            written[f"{name}{one}"] = [vector, content]
        new = enumerate(written[""][start:], start)
        samples = [sample(f"s{n}", 1, vector=vector, expire_time=expire_time) for n, vector in new]
        ledger.review.add([ReviewBatch(name, items, contents, samples=samples)])
    return written


def everything_of(written: dict[str, list[bytes]]) -> list[bytes]:
    return [content for contents in written.values() for content in contents if content]


@pytest.mark.parametrize("how", ["expiry", "purge", "collection"])
def test_deleted_queries_are_gone_from_the_files(ledger: Direct, tmp_path: Path, how: str) -> None:
    gone = fill(ledger, "birds", 40, now() + DAY)
    kept = fill(ledger, "fish", 12, now() + 30 * DAY)
    assert traces(tmp_path, everything_of(gone)) == len(everything_of(gone))
    delete: dict[str, Callable[[], object]] = {
        "expiry": lambda: ledger.review.delete_expired(now() + 2 * DAY),
        "purge": lambda: ledger.review.purge("birds"),
        "collection": lambda: ledger.delete_collection("birds"),
    }
    delete[how]()
    assert traces(tmp_path, everything_of(gone)) == 0
    assert traces(tmp_path, everything_of(kept)) == len(everything_of(kept))
    assert len(ledger.review.waiting("fish")) == 12


def test_no_copy_stays_of_what_comes_and_goes_one_by_one(ledger: Direct, tmp_path: Path) -> None:
    """SQLite moves rows between pages; the places that they leave have to be empty too."""
    written = fill(ledger, "birds", 80, now() + DAY)
    chosen, gone = random.Random(1), list[bytes]()
    for _ in range(8):
        removed = chosen.sample(sorted(written.keys() - {""}), 8)
        gone += [content for name in removed for content in written.pop(name) if content]
        ledger.review.add([ReviewBatch("birds", removed=removed)])
    answered = chosen.sample(sorted(written.keys() - {""}), 10)
    resolved = ledger.resolve_review(Resolve("birds", answered[:5], ResolutionKind.SKIP))
    ledger.undo_review("birds", resolved.resolution_id)
    ledger.resolve_review(Resolve("birds", answered, ResolutionKind.SKIP))
    ledger.review.delete_expired(now())
    with ledger.begin() as writer:
        writer.create_label("birds", LabelRecord("robin"))
    assert traces(tmp_path, gone) == 0
    assert traces(tmp_path, everything_of(written)) == len(everything_of(written))
    ledger.review.purge("birds")
    assert traces(tmp_path, gone + everything_of(written)) == 0


def test_a_reader_delays_the_log_until_the_next_time(
    ledger: Direct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_bytes, "_EMPTY_SECONDS", 0.05)
    gone = fill(ledger, "birds", 5, now() + DAY)
    with Ledger.open(sqlite_url(tmp_path)) as other, other.consistent_view() as view:
        assert len(view.collections()) == 2
        ledger.review.purge("birds")
        assert traces(tmp_path, everything_of(gone)) > 0
    ledger.review.delete_expired(now())
    assert traces(tmp_path, everything_of(gone)) == 0
