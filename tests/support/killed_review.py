"""Kills a process after every few statements of a review: `python -m support.killed_review FOLDER`.

Each round copies a ledger with a half-written input, runs a fork that adds, resolves, undoes and deletes and kills
itself after some statements, and checks what is left. Prints how many forks were killed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from glimpse.ledger import LabelRecord, Ledger, ResolutionKind, Resolve, Resolved, ReviewBatch, sqlite_url
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet
from support.review import DAY, collection, item, now, parts

_STEP = 9


def work(ledger: Ledger) -> None:
    """Takes every step of a review."""
    ledger.review.add([ReviewBatch("birds", parts=parts("late", b"12345", 3)[:1])])
    ledger.review.add([ReviewBatch("birds", [item("late", b"12345")], parts("late", b"12345", 3)[1:], removed=["c"])])
    with ledger.begin() as writer:
        label = LabelRecord("wren")
        resolved = writer.resolve_review(Resolve("birds", ["a", "late"], ResolutionKind.NEW_LABEL, label))
        assert isinstance(resolved, Resolved)
    with ledger.begin() as writer:
        writer.undo_review("birds", resolved.resolution_id)
    with ledger.begin() as writer:
        writer.resolve_review(Resolve("birds", ["b"], ResolutionKind.SKIP))
    ledger.review.delete_expired(now() + 2 * DAY)
    ledger.review.purge("birds")


def run(folder: Path, statements: int) -> bool:
    """Works in a fork that kills itself after some statements. Returns whether it did."""
    child = os.fork()
    if child == 0:
        left = statements

        def count(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        with Ledger.open(sqlite_url(folder), exclusive=True) as ledger:
            event.listen(ledger._engine, "after_cursor_execute", count)
            work(ledger)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
    return status != 0


def check(folder: Path) -> None:
    """Checks that everything or nothing of each step is there, and that no input is left without its item."""
    url = sqlite_url(folder)
    with Ledger.open(url, exclusive=True) as ledger:
        rows = everything(url)
        assert {item_id for _, item_id, *_ in rows["review_contents"]} <= {row[2] for row in rows["review_items"]}
        labels, examples = {label.id for label in ledger.labels("birds")}, list(ledger.examples("birds"))
        assert (labels, len(examples)) in (({"robin"}, 0), ({"robin", "wren"}, 2))
        items = ledger.review.items("birds", ["a", "b", "late"])
        enrolled = {one.id for one in items.values() if one.example_id}
        assert enrolled == ({"a", "late"} if examples else set())
        assert {one.id for one in ledger.review.waiting("birds")}.isdisjoint(enrolled)
    assert not verify(url, quiet)


def main(folder: Path) -> None:
    whole = folder / "whole"
    whole.mkdir()
    with Ledger.open(sqlite_url(whole)) as ledger:
        with ledger.begin() as writer:
            writer.create_collection(collection(keep_inputs=True))
            writer.create_label("birds", LabelRecord("robin"))
        ledger.review.add([ReviewBatch("birds", [item("a", b"aaa"), item("b"), item("c")], parts("a", b"aaa"))])
    killed = 0
    while True:
        copy = shutil.copytree(whole, folder / str(killed))
        if not run(copy, 1 + killed * _STEP):
            break
        check(copy)
        shutil.rmtree(copy)
        killed += 1
    print(killed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
