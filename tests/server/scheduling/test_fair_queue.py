"""Callers are served in turn, and each finds room in the queue."""

import asyncio
from contextlib import ExitStack, suppress

import pytest

from glimpse.server.auth.caller import Caller, current_caller, set_caller, set_peer
from glimpse.server.errors import Queue, RequestError
from glimpse.server.scheduling.admission import Admission, RetryScheduler, ServiceTimeEstimator
from glimpse.server.scheduling.fair_queue import FairQueue
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.scheduling.thread_pool import FairSemaphore, SearchPool
from glimpse.server.settings import load_settings


class Clock:
    """A clock that stands still until the test sets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def held(stack: ExitStack, admission: Admission, name: str, count: int) -> None:
    """Holds `count` places of a caller until the stack is closed."""
    set_caller(Caller(name))
    for _ in range(count):
        stack.enter_context(admission.place())


def paced(seconds: float, limit: int = 1_000, longest: float = 5.0, few: int = 8) -> tuple[Admission, Clock]:
    """An admission that has seen many inputs take so long each."""
    clock = Clock()
    admission = Admission(limit, longest, few, Queue.INPUTS, clock)
    set_caller(Caller("before"))
    for _ in range(500):
        with admission.place():
            clock.now += seconds
    return admission, clock


def refused(admission: Admission, name: str, deadline: float = float("inf")) -> float | None:
    """Returns a caller's retry delay, or None if it is admitted."""
    set_caller(Caller(name))
    try:
        admission.check(deadline)
    except RequestError as refusal:
        return refusal.retry_delay
    return None


def test_callers_are_served_in_turn_and_each_keeps_its_order() -> None:
    turns: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        turns.put(item[0], item)
    assert len(turns) == 7
    assert [turns.take() for _ in range(4)] == ["a1", "b1", "c1", "a2"]
    turns.put("b", "b2")
    assert [turns.take() for _ in range(len(turns))] == ["c2", "a3", "b2", "a4"]


async def test_a_semaphore_admits_its_width_at_once_and_others_in_turn() -> None:
    semaphore, served, gate = FairSemaphore(2), list[str](), asyncio.Event()

    async def visit(caller: str) -> None:
        async with semaphore.slot(caller):
            served.append(caller)
            await gate.wait()

    visits = [asyncio.create_task(visit(caller)) for caller in ("greedy",) * 6 + ("modest",)]
    await asyncio.sleep(0)
    assert served == ["greedy"] * 2
    gate.set()
    await asyncio.gather(*visits)
    assert served.index("modest") <= 3


async def test_a_cancelled_caller_keeps_no_slot_of_a_semaphore() -> None:
    semaphore, entered = FairSemaphore(1), 0

    async def visit() -> None:
        nonlocal entered
        async with semaphore.slot("one"):
            entered += 1
            await asyncio.sleep(0)

    async with semaphore.slot("first"):
        waiting = [asyncio.create_task(visit()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # its turn has come, but it has not run yet
    await asyncio.gather(*waiting, return_exceptions=True)
    assert entered == 1
    await asyncio.wait_for(visit(), 1)


def test_a_caller_alone_has_all_the_room_and_another_still_finds_some() -> None:
    admission = Admission(10, 60, 64, Queue.INPUTS, Clock())
    with ExitStack() as stack:
        held(stack, admission, "greedy", 10)
        with pytest.raises(RequestError, match="QUEUE_FULL"):
            held(stack, admission, "greedy", 1)
        held(stack, admission, "modest", 5)
        with pytest.raises(RequestError, match="QUEUE_FULL"):
            held(stack, admission, "modest", 1)
        assert admission.taken == 15
    assert admission.taken == 0
    assert refused(admission, "greedy") is None


def test_inputs_ahead_are_counted_by_turns() -> None:
    admission, _ = paced(0.1)
    with ExitStack() as stack:
        held(stack, admission, "greedy", 60)
        assert refused(admission, "greedy") == pytest.approx(6, rel=0.01)
        assert refused(admission, "modest") is None  # one input of the other caller is ahead
        held(stack, admission, "modest", 9)
        assert refused(admission, "modest") is not None  # ten inputs of the other caller, and nine of its own


def test_few_inputs_may_wait_the_longest_time_and_many_a_tenth_of_it() -> None:
    slow, _ = paced(1.0, few=8)
    with ExitStack() as stack:
        held(stack, slow, "one", 5)
        assert refused(slow, "one") is None
        held(stack, slow, "one", 1)
        assert refused(slow, "one") is not None
    fast, _ = paced(0.01, few=8)
    with ExitStack() as stack:
        held(stack, fast, "one", 49)
        assert refused(fast, "one") is None
        held(stack, fast, "one", 5)
        assert refused(fast, "one") is not None


def test_a_deadline_that_cannot_be_met_is_refused_at_once_unless_the_device_is_idle() -> None:
    admission, clock = paced(0.1)
    assert refused(admission, "one", clock.now + 0.01) is None
    with ExitStack() as stack:
        held(stack, admission, "one", 5)
        assert refused(admission, "one", clock.now + 1) is None
        assert refused(admission, "one", clock.now + 0.3) == pytest.approx(0.5, rel=0.01)


def test_retries_are_scheduled_one_after_the_other_within_the_longest_delay() -> None:
    clock = Clock()
    promises = RetryScheduler(5.0, clock)
    assert [promises.next(1.0, 0.5) for _ in range(3)] == [1.0, 1.5, 2.0]
    assert max(promises.next(1.0, 0.5) for _ in range(100)) == 5.0
    clock.now += 60
    assert promises.next(1.0, 0.5) == 1.0


def test_inputs_worked_on_side_by_side_share_the_time() -> None:
    clock = Clock()
    pace = ServiceTimeEstimator(clock)
    for _ in range(50):
        pace.begin()
        clock.now += 0.8
        for _ in range(8):
            pace.end()
        clock.now += 1_000  # with nothing to do
    assert pace.seconds == pytest.approx(0.1, rel=0.1)


async def test_inputs_that_were_never_served_do_not_change_the_service_time() -> None:
    admission, clock = paced(0.1)

    async def cancelled() -> None:
        with admission.place():
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(cancelled()) for _ in range(200)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with ExitStack() as stack:
        held(stack, admission, "one", 40)
        delay = refused(admission, "one")
    assert delay == pytest.approx(4, rel=0.01)
    assert admission.taken == 0
    del clock


def test_without_a_name_a_connection_is_a_caller() -> None:
    set_caller(Caller())
    set_peer("ipv4:127.0.0.1:1")
    assert current_caller() == Caller("", peer="ipv4:127.0.0.1:1")
    assert current_caller().fairness_key == "ipv4:127.0.0.1:1"
    set_caller(Caller("key"))
    set_peer("ipv4:127.0.0.1:1")
    assert current_caller().fairness_key == "key"


def test_memory_is_shared_too_and_one_caller_alone_has_all_of_it() -> None:
    inflight = InflightLimiter(100)
    with ExitStack() as stack:
        set_caller(Caller("greedy"))
        inflight.check(1_000)  # what is larger than all there may be, when there is nothing else
        for _ in range(10):
            inflight.check(10)
            stack.enter_context(inflight.track_call(10))
        with pytest.raises(RequestError, match="QUEUE_FULL"):
            inflight.check(1)
        set_caller(Caller("modest"))
        inflight.check(50)
        with pytest.raises(RequestError, match="QUEUE_FULL"):
            inflight.check(51)
    assert (inflight.held, inflight.running) == (0, 0)


async def test_a_stream_is_held_up_until_there_is_room() -> None:
    inflight = InflightLimiter(100)
    with inflight.track_call(100):
        waiting = asyncio.create_task(inflight.wait_for_room())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.02)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 1)


async def test_a_caller_below_its_part_does_not_wait_for_one_that_has_all_the_room() -> None:
    inflight = InflightLimiter(100)
    set_caller(Caller("greedy"))
    with inflight.track_call(100):
        waiting = asyncio.create_task(inflight.wait_for_room())  # of the same caller
        set_caller(Caller("modest"))
        await asyncio.wait_for(inflight.wait_for_room(), 1)
        with inflight.track_call(50):
            held_up = asyncio.create_task(inflight.wait_for_room())
            await asyncio.sleep(0)
            assert not held_up.done(), "that is its part"
        await asyncio.wait_for(held_up, 1)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 1)


def test_turns_lose_the_newest_of_the_caller_with_the_most() -> None:
    turns: FairQueue[str] = FairQueue()
    for item in ("a1", "b1", "b2", "b3"):
        turns.put(item[0], item)
    assert turns.longest() == 3
    assert turns.evict() == "b3"
    turns.discard("b", "b1")
    turns.discard("c", "c1")
    assert (len(turns), [turns.take() for _ in range(2)], turns.longest()) == (2, ["a1", "b2"], 0)


def test_a_full_search_thread_reports_waiting_searches() -> None:
    with SearchPool(load_settings(queue_limit=1), lambda: None) as pool, pool.admission.place():
        with pytest.raises(RequestError, match="QUEUE_FULL") as caught, pool.admission.place():
            pass
        assert caught.value.queue == "searches"
