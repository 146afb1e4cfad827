"""Kills a process after statements of a review: `python -m support.killed_review FOLDER`.

A process that is killed leaves the files of its database as they are at that moment. So one run of all steps of a
review notes the bytes of the files after each of its statements. Each state that differs from the ones before is
checked. Then forks kill themselves where the first, the middle and the last of these states appeared, to show that they
leave the same. Prints how many statements there were, how many states, and how many forks were killed.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from glimpse.ledger import LabelRecord, Ledger, ResolutionKind, Resolve, Resolved, ReviewBatch, sqlite_url
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet
from support.review import DAY, collection, item, now, parts

# The bytes of a database's file and of its write-ahead log. SQLite makes the third file again.
State = dict[str, bytes]


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


def run(folder: Path, after_statement: Callable[[], None]) -> None:
    """Takes every step, and calls a function after each statement."""
    with Ledger.open(sqlite_url(folder), exclusive=True) as ledger:
        event.listen(ledger._engine, "after_cursor_execute", lambda *_: after_statement())
        work(ledger)


def killed(folder: Path, statements: int) -> bool:
    """Takes the steps in a fork that kills itself after some statements. Returns whether it did."""
    child = os.fork()
    if child == 0:
        left = statements

        def count() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        run(folder, count)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def state_of(folder: Path) -> State:
    """Returns the state of a ledger's files."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.sqlite*")) if not file.name.endswith("-shm")}


def put(state: State, folder: Path) -> Path:
    """Writes a state into a new folder."""
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    return folder


def check(folder: Path) -> tuple[Any, ...]:
    """Checks that everything or nothing of each step is there, and no input without its item. Returns what is there."""
    url = sqlite_url(folder)
    with Ledger.open(url, exclusive=True) as ledger:
        rows = everything(url)
        assert {item_id for _, item_id, *_ in rows["review_contents"]} <= {row[2] for row in rows["review_items"]}
        labels, examples = {label.id for label in ledger.labels("birds")}, list(ledger.examples("birds"))
        assert (labels, len(examples)) in (({"robin"}, 0), ({"robin", "wren"}, 2))
        items = ledger.review.items("birds", ["a", "b", "c", "late"])
        enrolled = {one.id for one in items.values() if one.example_id}
        assert enrolled == ({"a", "late"} if examples else set())
        waiting = {one.id for one in ledger.review.waiting("birds")}
        assert waiting.isdisjoint(enrolled)
    assert not verify(url, quiet)
    return labels, len(examples), waiting


def main(folder: Path) -> None:
    whole = folder / "whole"
    whole.mkdir()
    with Ledger.open(sqlite_url(whole)) as ledger:
        with ledger.begin() as writer:
            writer.create_collection(collection(keep_inputs=True))
            writer.create_label("birds", LabelRecord("robin"))
        ledger.review.add([ReviewBatch("birds", [item("a", b"aaa"), item("b"), item("c")], parts("a", b"aaa"))])
    start = state_of(whole)
    statements, states = 0, list[tuple[int, State]]()

    def note() -> None:
        nonlocal statements
        statements += 1
        if not states or state_of(whole) != states[-1][1]:
            states.append((statements, state_of(whole)))

    run(whole, note)
    found = [check(put(state, folder / f"state-{number}")) for number, (_, state) in enumerate(states)]
    assert len(set(map(str, found))) > 4, "the states are those of several steps"
    forks = (0, len(states) // 2, len(states) - 1)
    for number in forks:
        fork = put(start, folder / f"fork-{number}")
        assert killed(fork, states[number][0])
        assert check(fork) == found[number]
    print(statements, len(states), len(forks))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
