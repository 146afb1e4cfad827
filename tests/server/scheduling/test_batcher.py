"""The batcher alone, with encoders that wait, fail or return wrong results at the moment that a test needs."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.server.auth.caller import Caller, set_caller
from glimpse.server.errors import Queue, RequestError
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.batch_window import BatchWindow
from glimpse.server.scheduling.batcher import Batcher
from glimpse.server.scheduling.queue_slot import Encoded
from glimpse.server.scheduling.run_slots import RunSlots

pytestmark = pytest.mark.serial

Rows = npt.NDArray[np.float32]
Make = Callable[..., Batcher[Any]]


class Encoder:
    """Doubles its input; waits at a gate; remembers its batches."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[float]] = []
        self.single_core: list[bool] = []
        self.seconds = 0.0

    def __call__(self, items: Sequence[Rows], single_core: bool) -> Rows:
        self.single_core.append(single_core)
        self.gate.wait(5)
        time.sleep(self.seconds)
        values = [float(item[0]) for item in items]
        self.batches.append(values)
        if -1.0 in values:
            raise RuntimeError("the device is gone")
        rows = np.array([[2 * value] for value in values], np.float32)
        return rows[:-1] if -2.0 in values else rows


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
async def make(encoder: Encoder) -> AsyncIterator[Make]:
    made: list[Batcher[Any]] = []
    with ThreadPoolExecutor(4) as executor:

        def make(
            max_batch: int = 4, queue_limit: int = 100, patient: bool = False, seconds: float = 60.0, runs: int = 1
        ) -> Batcher[Any]:
            admission = Admission(queue_limit, seconds, 64, Queue.INPUTS)
            made.append(Batcher(encoder, executor, max_batch, admission, RunSlots(runs), patient=patient))
            return made[-1]

        yield make
        encoder.gate.set()
        for batcher in made:
            await batcher.close()


async def encode(batcher: Batcher[Any], item: Rows, deadline: float = np.inf) -> Encoded:
    with batcher.place() as place:
        return await place.encode(item, deadline)


def item(value: float) -> Rows:
    return np.array([value], np.float32)


async def test_an_idle_device_starts_at_once_and_a_busy_one_batches(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    tasks = [asyncio.create_task(encode(batcher, item(value))) for value in range(7)]
    await asyncio.sleep(0.05)
    encoder.gate.set()
    results = await asyncio.gather(*tasks)
    assert [float(result.vector[0]) for result in results] == [2.0 * value for value in range(7)]
    assert encoder.batches[0] in ([0.0], [0.0, 1.0, 2.0, 3.0])  # the inputs that had arrived when the device was free
    assert max(map(len, encoder.batches)) <= 4
    assert sum(map(len, encoder.batches)) == 7
    started = time.monotonic()
    await encode(batcher, item(1))
    assert time.monotonic() - started < 0.5  # no timer


async def test_cancelled_and_expired_entries_are_dropped_before_encoding(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    running = asyncio.create_task(encode(batcher, item(0)))
    await asyncio.sleep(0.02)
    cancelled = asyncio.create_task(encode(batcher, item(1)))
    expired = asyncio.create_task(encode(batcher, item(2), time.monotonic() + 0.01))
    kept = asyncio.create_task(encode(batcher, item(3)))
    await asyncio.sleep(0.05)
    cancelled.cancel()
    encoder.gate.set()
    assert float((await kept).vector[0]) == 6
    await running
    with pytest.raises(RequestError, match="DEADLINE_EXCEEDED"):
        await expired
    assert encoder.batches == [[0.0], [3.0]]


async def test_a_cancelled_caller_in_the_running_batch_harms_no_other(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    gone, stays = (asyncio.create_task(encode(batcher, item(value))) for value in (1, 2))
    await asyncio.sleep(0.05)
    gone.cancel()
    encoder.gate.set()
    assert float((await stays).vector[0]) == 4
    assert float((await encode(batcher, item(5))).vector[0]) == 10


async def test_a_failing_batch_fails_alone(make: Make) -> None:
    batcher = make()
    with pytest.raises(RuntimeError, match="the device is gone"):
        await encode(batcher, item(-1))
    assert float((await encode(batcher, item(3))).vector[0]) == 6


async def test_a_wrong_number_of_vectors_is_an_error_that_names_both(make: Make) -> None:
    batcher = make()
    with pytest.raises(RuntimeError, match="0 vectors for 1 inputs"):
        await encode(batcher, item(-2))
    assert float((await encode(batcher, item(3))).vector[0]) == 6


async def test_a_full_queue_says_when_to_return(make: Make, encoder: Encoder) -> None:
    batcher = make(queue_limit=2)
    with batcher.place(), batcher.place():
        with pytest.raises(RequestError, match="QUEUE_FULL") as caught, batcher.place():
            pass
        assert caught.value.retry_delay
        assert caught.value.queue == "inputs"
    with batcher.place() as place:
        assert float((await place.encode(item(1))).vector[0]) == 2


async def test_closing_cancels_waiting_work(make: Make, encoder: Encoder) -> None:
    batcher = make(max_batch=1)
    encoder.gate.clear()
    tasks = [asyncio.create_task(encode(batcher, item(value))) for value in range(3)]
    await asyncio.sleep(0.02)
    encoder.gate.set()
    await batcher.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[-1], asyncio.CancelledError)


async def test_callers_that_come_back_together_are_waited_for_and_share_runs(make: Make, encoder: Encoder) -> None:
    """An encoder that does not wait would run each caller's input alone."""
    sizes = {}
    encoder.seconds = 0.02
    for patient in (False, True):
        batcher = make(8, patient=patient)
        results: list[Encoded] = []

        async def caller(number: int, batcher: Batcher[Any] = batcher, results: list[Encoded] = results) -> None:
            for _ in range(12):
                with batcher.place() as place:
                    await asyncio.sleep(0.001 + 0.0003 * number)  # decoding
                    results.append(await place.encode(item(number)))

        await asyncio.gather(*map(caller, range(4)))
        sizes[patient] = np.mean([result.batch_size for result in results[len(results) // 2 :]])
    assert sizes[True] > 3.9
    assert sizes[False] < sizes[True]


async def test_a_patient_batcher_does_not_wait_if_no_input_is_expected(make: Make, encoder: Encoder) -> None:
    encoder.seconds = 0.04
    batcher = make(patient=True)
    for _ in range(8):  # one caller, which returns immediately
        assert (await encode(batcher, item(1))).queue_seconds < 0.01
    assert (await asyncio.gather(*(encode(batcher, item(1)) for _ in range(2))))[0].batch_size == 2


async def test_callers_that_do_not_come_back_are_soon_not_waited_for(make: Make, encoder: Encoder) -> None:
    arrivals = BatchWindow()
    for now in range(20):
        arrivals.admitted(now)
        arrivals.ready()
        arrivals.answered(1, now, 2.0)
    assert arrivals.expected_until() == 21  # all callers have returned so far
    for now in range(100, 200, 10):
        arrivals.admitted(now)
        arrivals.ready()
        assert arrivals.expected_until() < now
        arrivals.answered(1, now, 2.0)
    assert arrivals.expected_until() < 190


async def test_a_failed_decode_ends_the_wait_for_its_input(make: Make, encoder: Encoder) -> None:
    encoder.seconds = 0.5
    batcher = make(patient=True)
    await encode(batcher, item(1))  # from here on an input is known to take long
    with batcher.place():
        waiting = asyncio.create_task(encode(batcher, item(2)))
        await asyncio.sleep(0.02)
        assert len(encoder.batches) == 1
    assert (await waiting).queue_seconds < 0.1


async def test_callers_that_do_not_return_delay_no_other_caller(make: Make, encoder: Encoder) -> None:
    """Waits correctly on the server's event loop too, whose timers may fire slightly early."""
    encoder.seconds = 0.03
    batcher = make(patient=True)

    async def stays(times: int) -> None:
        for _ in range(times):
            await encode(batcher, item(1))

    for _ in range(10):
        await asyncio.wait_for(asyncio.gather(stays(1), stays(6)), 5)  # one leaves, the other goes on


async def test_a_caller_in_a_hurry_is_not_made_to_wait_for_others(make: Make, encoder: Encoder) -> None:
    encoder.seconds = 0.2
    batcher = make(patient=True)
    for _ in range(6):
        await encode(batcher, item(1))  # from here on an input is known to take about 0.2 s
    encoder.seconds = 0.0
    with batcher.place():  # an input is being decoded during that time
        found = await encode(batcher, item(2), time.monotonic() + 0.05)
    assert found.queue_seconds < 0.05


async def test_work_after_closing_is_cancelled(make: Make) -> None:
    batcher = make()
    with batcher.place() as place:
        await batcher.close()
        with pytest.raises(asyncio.CancelledError):
            await place.encode(item(1))


async def test_time_spent_waiting_for_another_batchers_run_is_queueing(encoder: Encoder) -> None:
    encoder.seconds = 0.05
    slots = RunSlots()
    with ThreadPoolExecutor(1) as executor:
        images, texts = (Batcher(encoder, executor, 4, Admission(100, 60, 64, Queue.INPUTS), slots) for _ in range(2))
        first = asyncio.create_task(encode(images, item(1)))
        await asyncio.sleep(0.01)
        found = await encode(texts, item(2))
        await first
        await asyncio.gather(images.close(), texts.close())
    assert found.queue_seconds > 0.03
    assert found.encode_seconds < 0.08


async def test_a_caller_with_few_inputs_gets_its_turn_next_to_one_with_many(make: Make, encoder: Encoder) -> None:
    batcher = make(max_batch=2)
    encoder.gate.clear()
    set_caller(Caller("greedy"))
    many = [asyncio.create_task(encode(batcher, item(value))) for value in range(10)]
    await asyncio.sleep(0.02)
    set_caller(Caller("modest"))
    few = [asyncio.create_task(encode(batcher, item(value))) for value in (100, 101)]
    await asyncio.sleep(0.02)
    encoder.gate.set()
    await asyncio.gather(*many, *few)
    batches = [set(batch) for batch in encoder.batches]
    assert next(place for place, batch in enumerate(batches) if 100 in batch) <= 1 + (len(batches[0]) == 1)
    assert next(place for place, batch in enumerate(batches) if 101 in batch) <= 3


async def test_an_input_over_the_longest_wait_is_refused_before_it_is_decoded(make: Make, encoder: Encoder) -> None:
    batcher = make(max_batch=1, seconds=0.1)
    encoder.seconds = 0.05
    for _ in range(10):
        await encode(batcher, item(1))  # from here on an input is known to take about 0.05 s
    encoder.gate.clear()
    tasks = [asyncio.create_task(encode(batcher, item(value))) for value in range(4)]
    await asyncio.sleep(0.02)
    with pytest.raises(RequestError, match="QUEUE_FULL") as caught:
        batcher.admission.check()
    assert caught.value.retry_delay
    encoder.gate.set()
    await asyncio.gather(*tasks)
    batcher.admission.check()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (threads make it true)
            await asyncio.sleep(0.001)


async def test_many_inputs_are_encoded_side_by_side_and_a_lone_one_on_all_cores(make: Make, encoder: Encoder) -> None:
    batcher = make(runs=2)
    await encode(batcher, item(1))
    encoder.gate.clear()
    tasks = [asyncio.create_task(encode(batcher, item(value))) for value in range(2, 6)]
    await until(lambda: len(encoder.single_core) == 3)
    assert encoder.single_core == [False, True, True]  # the second run began before the first has ended
    encoder.gate.set()
    results = await asyncio.gather(*tasks)
    assert [float(result.vector[0]) for result in results] == [4.0, 6.0, 8.0, 10.0]
    assert [len(batch) for batch in encoder.batches] == [1, 2, 2]
    await encode(batcher, item(1))
    assert encoder.single_core[-1] is False


async def test_a_run_on_all_cores_is_alone(make: Make, encoder: Encoder) -> None:
    batcher = make(runs=2)
    encoder.gate.clear()
    first = asyncio.create_task(encode(batcher, item(1)))
    await until(lambda: encoder.single_core == [False])
    others = [asyncio.create_task(encode(batcher, item(value))) for value in (2, 3)]
    await asyncio.sleep(0.02)
    assert encoder.single_core == [False]
    encoder.gate.set()
    await asyncio.gather(first, *others)
    assert encoder.single_core == [False, True, True]


async def test_a_run_that_fails_leaves_its_core_free(make: Make, encoder: Encoder) -> None:
    batcher = make(runs=2)
    for _ in range(3):
        results = await asyncio.gather(*(encode(batcher, item(-1)) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(result, RuntimeError) for result in results)
    await asyncio.gather(*(encode(batcher, item(value)) for value in range(4)))
    assert True in encoder.single_core


async def test_images_and_texts_take_turns_while_both_wait(encoder: Encoder) -> None:
    encoder.seconds = 0.001
    slots = RunSlots(2)
    with ThreadPoolExecutor(2) as executor:
        images, texts = (Batcher(encoder, executor, 1, Admission(100, 60, 64, Queue.INPUTS), slots) for _ in range(2))
        both = [encode(batcher, item(value)) for value in range(1, 31) for batcher in (images, texts)]
        done: list[str] = []
        tasks = [asyncio.ensure_future(one) for one in both]
        for name, task in zip(("images", "texts") * 30, tasks, strict=True):
            task.add_done_callback(lambda _, name=name: done.append(name))  # type: ignore[misc]
        await asyncio.gather(*tasks)
        await asyncio.gather(images.close(), texts.close())
    assert 10 <= done[:30].count("images") <= 20
