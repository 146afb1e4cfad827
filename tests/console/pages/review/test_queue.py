"""The queue of groups: what is shown next, and what comes back."""

import pytest

from glimpse.client import ReviewGroup
from glimpse.console.pages.review.queue import Queue, part_of


def group(name: str, size: int = 2) -> ReviewGroup:
    items = tuple(f"collections/c/reviewItems/{name}{number}" for number in range(size))
    return ReviewGroup(f"etag-{name}", items, size, size, 0.1, "", 0.0, ())


def names(queue: Queue) -> list[str]:
    return [one.items[0].rpartition("/")[2] for one in queue.groups]


def test_a_whole_group_keeps_its_etag_and_the_next_one_is_shown() -> None:
    queue = Queue([group("a"), group("b"), group("c")])
    assert queue.take().etag == "etag-a"
    assert queue.current
    assert queue.current.etag == "etag-b"
    assert len(queue.groups) == 2


def test_the_last_group_shows_the_one_before_it_and_then_none() -> None:
    queue = Queue([group("a"), group("b")], position=1)
    queue.take()
    assert queue.current
    assert queue.current.etag == "etag-a"
    queue.take()
    assert queue.current is None
    assert queue.groups == []


def test_members_that_are_left_out_stay_as_a_group_without_an_etag() -> None:
    whole = group("a", 5)
    queue = Queue([whole, group("b")])
    taken = queue.take({whole.items[1], whole.items[4]})
    assert (taken.items, taken.size, taken.etag) == ((whole.items[0], whole.items[2], whole.items[3]), 3, "")
    assert queue.current
    assert (queue.current.items, queue.current.etag) == ((whole.items[1], whole.items[4]), "")
    assert len(queue.groups) == 2


def test_a_group_that_comes_back_does_not_change_what_people_look_at() -> None:
    queue = Queue([group("a"), group("b")])
    taken = queue.take()
    queue.put_back(taken)
    assert names(queue) == ["a0", "b0"]
    assert queue.current
    assert queue.current.etag == "etag-b"


def test_an_undone_group_is_shown() -> None:
    queue = Queue([group("a"), group("b")])
    queue.put_back(queue.take(), show=True)
    assert queue.current
    assert queue.current.etag == "etag-a"


def test_a_group_that_comes_back_into_an_empty_queue_is_shown() -> None:
    queue = Queue([group("a")])
    queue.put_back(queue.take())
    assert queue.current
    assert queue.position == 0


@pytest.mark.parametrize(("position", "shown"), [(-3, 0), (0, 0), (1, 1), (9, 1)])
def test_a_position_outside_is_the_nearest_one(position: int, shown: int) -> None:
    queue = Queue([group("a"), group("b")])
    queue.show(position)
    assert queue.position == shown


def test_a_part_of_a_group_has_no_etag() -> None:
    whole = group("a", 3)
    part = part_of(whole, whole.items[:1])
    assert (part.etag, part.size, part.query_count, part.items) == ("", 1, 1, whole.items[:1])
