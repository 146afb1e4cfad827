"""The watch on the server. The answers of the server are a script."""

import asyncio
from collections.abc import Iterator

import pytest

from glimpse.client import DeadlineExceeded, GlimpseError, Health, PermissionDenied, Unavailable
from glimpse.console import connection as connection_module
from glimpse.console.connection import Connection

UP = Health("SERVING", 1.0)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_CHECK_SECONDS", 0.0)


def scripted(connection: Connection, script: list[Health | GlimpseError]) -> asyncio.Event:
    """Makes health checks answer by a script; returns an event for its end."""
    answers: Iterator[Health | GlimpseError] = iter(script)
    ended = asyncio.Event()

    async def health(*, timeout: float) -> Health:  # noqa: ASYNC109  (as the client's)
        answer = next(answers, None)
        if answer is None:
            ended.set()
            await asyncio.sleep(3600)
        if isinstance(answer, GlimpseError):
            raise answer
        assert answer
        return answer

    connection.client.health = health  # type: ignore[assignment,method-assign]
    return ended


async def test_pages_hear_when_the_server_goes_and_when_it_is_back() -> None:
    connection = Connection("127.0.0.1:1", "")
    heard: list[bool] = []
    ended = scripted(connection, [UP, Unavailable("gone"), DeadlineExceeded("gone"), UP, PermissionDenied("no"), UP])
    connection.listen(heard.append)
    await asyncio.wait_for(ended.wait(), 10)
    # A refusal is an answer too.
    assert heard == [False, True]
    await connection.close()


async def test_one_page_that_fails_does_not_keep_the_others_from_hearing() -> None:
    connection = Connection("127.0.0.1:1", "")
    heard: list[bool] = []

    def fail(answers: bool) -> None:
        raise RuntimeError("the page was deleted")

    ended = scripted(connection, [Unavailable("gone"), UP])
    connection.listen(fail)
    connection.listen(heard.append)
    await asyncio.wait_for(ended.wait(), 10)
    assert heard == [False, True]
    await connection.close()


async def test_a_page_that_left_hears_nothing_and_the_watch_ends() -> None:
    connection = Connection("127.0.0.1:1", "")
    heard: list[bool] = []
    scripted(connection, [Unavailable("gone")] * 100_000)
    end = connection.listen(heard.append)
    end()
    end()  # twice is once
    watch = connection._watch
    assert watch
    await asyncio.wait_for(watch, 10)
    assert heard == []
    again = asyncio.Event()
    connection.answers = True
    connection.listen(lambda answers: again.set())  # the next page starts it again
    await asyncio.wait_for(again.wait(), 10)
    await connection.close()


async def test_the_key_is_in_no_text_of_the_connection() -> None:
    connection = Connection("127.0.0.1:1", "glimpse-secret")
    assert "glimpse-secret" not in f"{connection!r} {connection.client!r} {connection.server}"
    await connection.close()


async def test_the_variable_with_a_key_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_API_KEY", "glimpse-secret")
    connection = Connection("127.0.0.1:1", "")
    assert not [value for _, value in connection.client._metadata if "secret" in str(value)]
    await connection.close()
