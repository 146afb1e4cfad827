"""Tests that copies of a ledger hold kept queries on request alone, and that verification checks their references."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from glimpse.ledger import ExampleRecord, LabelRecord, ResolutionKind, Resolve, ReviewBatch
from glimpse.ledger.database import schema
from glimpse.ledger.maintenance import kept_queries, parquet
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.parquet import export, import_
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet
from support.ledgers import Direct
from support.postgres import Postgres
from support.review import DAY, collection, item, now, parts, sample, vector

_TABLES = {table.name for table in schema.REVIEW_TABLES}


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    """Yields a ledger with a label that was reviewed, a skip that was undone, and items of which one expires soon."""
    with Direct.of(place) as ledger:
        ledger.create_collection(collection(content_readable=True, review_keep_days=9, review_match_rate=0.5))
        items = [item(name, name.encode() * 3, caller="ünï") for name in "abcd"]
        items += [item("soon", b"soon", expire_time=now() + DAY // 2)]
        contents = [part for one in "abcd" for part in parts(one, one.encode() * 3, 2)] + parts("soon", b"soon")
        samples = [sample("s", 0.25, item_id="a"), sample("t", 0.5, expire_time=now() + DAY // 2)]
        ledger.review.add([ReviewBatch("birds", items, contents, samples=samples)])
        ledger.review.add([ReviewBatch("birds", removed=["d"])])
        resolve = Resolve("birds", ["a"], ResolutionKind.NEW_LABEL, LabelRecord("wren"), actor="ann")
        ledger.resolve_review(resolve)
        skipped = ledger.resolve_review(Resolve("birds", ["b"], ResolutionKind.SKIP))
        ledger.undo_review("birds", skipped.resolution_id)
        yield ledger


def test_copies_leave_kept_queries_out(ledger: Direct, tmp_path: Path) -> None:
    before = everything(ledger.url)
    assert all(before[name] for name in _TABLES)
    copied = back_up(ledger.url, tmp_path / "saved", quiet)
    assert copied.review_left_out == 4
    saved = everything(f"sqlite:///{tmp_path}/saved")
    assert {name: rows for name, rows in saved.items() if rows} == {
        name: rows for name, rows in before.items() if rows and name not in _TABLES
    }
    exported = export(ledger.url, tmp_path / "out", quiet)
    assert exported.review_left_out == 4
    assert not exported.rows.keys() & _TABLES
    assert not list((tmp_path / "out").rglob("review*"))


def test_copies_on_request_hold_every_row(ledger: Direct, tmp_path: Path, server: Postgres) -> None:
    before = everything(ledger.url)
    assert back_up(ledger.url, tmp_path / "saved", quiet, review=True).review_left_out == 0
    assert everything(f"sqlite:///{tmp_path}/saved") == before
    assert export(ledger.url, tmp_path / "out", quiet, review=True, keys=True).review_left_out == 0
    urls = [server.database(), f"sqlite:///{tmp_path}/imported"]
    restore(tmp_path / "saved", urls[0], quiet)
    import_(tmp_path / "out", urls[1], quiet)
    for url in urls:
        after = everything(url)
        assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}
        for name in before.keys() - {"review_items"}:
            assert after[name] == before[name], name
        # PostgreSQL numbers the items again; their order stays.
        assert [row[1:] for row in sorted(after["review_items"])] == [row[1:] for row in sorted(before["review_items"])]
        with Direct.of(url) as again:
            assert list(again.review.add([ReviewBatch("birds", [item("later")])])[0].item_ids) == ["later"]
            assert again.review.waiting("birds")[-1].id == "later"


def test_what_has_expired_is_not_restored(ledger: Direct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back_up(ledger.url, tmp_path / "saved", quiet, review=True)
    export(ledger.url, tmp_path / "out", quiet, review=True)
    later = now() + DAY // 2 + 1
    for module in ("backup", "parquet"):
        monkeypatch.setattr(f"glimpse.ledger.maintenance.{module}.now_microseconds", lambda: later)
    urls = [f"sqlite:///{tmp_path}/restored", f"sqlite:///{tmp_path}/imported"]
    restored = restore(tmp_path / "saved", urls[0], quiet)
    assert (restored.rows["review_items"], restored.rows["review_contents"]) == (3, 6)
    import_(tmp_path / "out", urls[1], quiet)
    for url in urls:
        with Direct.of(url) as again:
            assert again.review.items("birds", ["a", "b", "c", "soon"]).keys() == {*"abc"}
            assert again.review.contents("birds", ["b", "soon"], 100) == {"b": b"bbb"}
            assert [one.id for one in again.review.samples("birds")] == ["s"]


def test_an_example_that_was_deleted_since_is_no_problem(ledger: Direct) -> None:
    [example] = ledger.examples("birds")
    ledger.delete_example("birds", example.id)
    assert not verify(ledger.url, quiet)
    assert ledger.review.items("birds", ["a"])["a"].example_id == ""


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE review_items SET collection_id = 'gone' WHERE id = 'b'", "refer to missing collections"),
        ("UPDATE review_items SET resolution_id = 'gone' WHERE id = 'a'", "refer to missing review_resolutions"),
        ("UPDATE review_items SET example = 99 WHERE id = 'a'", "refer to examples that are not theirs"),
        ("UPDATE review_items SET example = 2 WHERE id = 'a'", "refer to examples that are not theirs"),
    ],
)
def test_lost_references_are_found(ledger: Direct, statement: str, problem: str) -> None:
    ledger.create_collection(collection("fish"))
    ledger.enroll("fish", [LabelRecord("x")], [ExampleRecord("e", "x", f"sha256:{0:064}", 1, vector(1))])
    assert not verify(ledger.url, quiet)
    engine = create_engine(ledger.url)
    with engine.begin() as connection:
        if ledger.shared:
            connection.execute(text("SET session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount
    engine.dispose()
    [found] = verify(ledger.url, quiet)
    assert found.kind == "reference"
    assert problem in found.what


def test_every_table_of_the_queue_is_left_out() -> None:
    """A new table of the queue is left out too."""
    names = {table.name for table in schema.metadata.sorted_tables if table.name.startswith("review_")}
    assert names == _TABLES
    assert parquet._tables(keys=True, review=False) == [
        table for table in schema.metadata.sorted_tables if table.name not in names
    ]
    assert kept_queries.not_expired(schema.examples, 0) == []
