"""The choice of runs: one on all cores, or several on one core each."""

import asyncio

import pytest

from glimpse.server.scheduling.run_slots import Run, RunSlots


@pytest.mark.parametrize(
    ("cores", "waiting", "expected"),
    [
        (1, 1, Run(1, single_core=False)),
        (1, 9, Run(9, single_core=False)),
        (2, 1, Run(1, single_core=False)),
        (2, 2, Run(1, single_core=True)),
        (2, 9, Run(5, single_core=True)),
        (16, 15, Run(15, single_core=False)),
        (16, 33, Run(3, single_core=True)),
    ],
)
def test_an_idle_encoder_starts(cores: int, waiting: int, expected: Run) -> None:
    assert RunSlots(cores).next(waiting) == expected


def test_a_free_core_takes_its_share_while_others_run() -> None:
    slots = RunSlots(4)
    slots.begin(Run(1, single_core=True))
    assert slots.next(1) == Run(1, single_core=True)
    assert slots.next(7) == Run(3, single_core=True)


async def test_waiting_ends_with_the_run_that_has_all_cores() -> None:
    slots, run = RunSlots(2), Run(1, single_core=False)
    slots.begin(run)
    assert not slots.free
    waiting = [asyncio.create_task(slots.until_free()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    slots.end(run)
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert slots.idle
