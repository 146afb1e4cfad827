import pytest

from glimpse.console.security.sessions import Sessions

HOURS = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    def __init__(self, in_use: bool = False) -> None:
        self.in_use = in_use
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions[Fake]:
    return Sessions(8 * HOURS, clock, limit=3)


async def added(sessions: Sessions[Fake], session: Fake) -> str:
    token = await sessions.add(session)
    assert token
    return token


async def test_a_session_is_found_by_its_token_alone(sessions: Sessions[Fake]) -> None:
    one, other = Fake(), Fake()
    token = await added(sessions, one)
    assert await added(sessions, other) != token
    assert sessions.find(token) is one
    assert sessions.find(token[:-1]) is sessions.find("") is None
    assert len(token) >= 43  # 256 bits


async def test_eight_idle_hours_end_a_session(sessions: Sessions[Fake], clock: Clock) -> None:
    session = Fake(in_use=True)
    token = await added(sessions, session)
    clock.now += 8 * HOURS - 1
    assert sessions.find(token) is session
    clock.now += 1
    assert sessions.find(token) is None
    sessions.touch(token)  # an idle session does not come back
    assert sessions.find(token) is None
    await sessions.sweep()
    assert (session.closed, len(sessions)) == (1, 0)


async def test_an_action_starts_the_eight_hours_again(sessions: Sessions[Fake], clock: Clock) -> None:
    token = await added(sessions, Fake())
    for _ in range(5):
        clock.now += 7 * HOURS
        sessions.touch(token)
    assert sessions.find(token)


async def test_sign_out_ends_a_session_at_once(sessions: Sessions[Fake]) -> None:
    session = Fake()
    token = await added(sessions, session)
    await sessions.end(token)
    await sessions.end(token)
    assert sessions.find(token) is None
    assert session.closed == 1


async def test_past_the_limit_the_unused_session_that_waited_longest_ends(
    sessions: Sessions[Fake], clock: Clock
) -> None:
    used, old, new = Fake(in_use=True), Fake(), Fake()
    for session in (used, old, new):
        await added(sessions, session)
        clock.now += 1
    assert await sessions.add(Fake(in_use=True))
    assert (used.closed, old.closed, new.closed) == (0, 1, 0)
    assert await sessions.add(Fake(in_use=True))
    assert new.closed == 1
    assert await sessions.add(Fake()) is None
    assert used.closed == 0


async def test_the_end_of_the_console_ends_every_session(sessions: Sessions[Fake]) -> None:
    all_of_them = [Fake(), Fake(in_use=True)]
    for session in all_of_them:
        await added(sessions, session)
    await sessions.clear()
    assert [session.closed for session in all_of_them] == [1, 1]
