"""A client gives up quickly on a server that never answered, and waits for one that restarts."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from glimpse.client import AsyncClient, Client, DeadlineExceeded, GlimpseError, Retry, Unavailable

from ..conftest import Script, serving

pytestmark = pytest.mark.serial

IMPATIENT = Retry(connect_timeout=0.3)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def free() -> str:
    """An address without a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serving_after(seconds: float, script: Script, address: str) -> Iterator[None]:
    """Runs a scripted server that starts late."""
    ended = threading.Event()

    def serve() -> None:
        time.sleep(seconds)
        with serving(script, address):
            ended.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def seconds_until(error: type[GlimpseError], call: Callable[[], object]) -> float:
    start = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - start


def classify(address: str) -> None:
    with Client(address) as client:
        client.classify("c", ["red"])


def stream(address: str) -> None:
    with Client(address) as client:
        list(client.stream_classify("c", ["red"]))


def classify_async(address: str) -> None:
    async def run() -> None:
        async with AsyncClient(address) as client:
            await client.classify("c", ["red"])

    asyncio.run(run())


def stream_async(address: str) -> None:
    async def run() -> None:
        async with AsyncClient(address) as client:
            async for _ in client.stream_classify("c", ["red"]):
                pass

    asyncio.run(run())


async def test_a_client_without_an_answer_fails_within_three_seconds(silent: str, free: str) -> None:
    calls = [
        asyncio.to_thread(seconds_until, Unavailable, partial(call, address))
        for call in (classify, stream, classify_async, stream_async)
        for address in (silent, free)
    ]
    taken = await asyncio.gather(*calls)
    assert all(2 < seconds < 3.5 for seconds in taken), taken


def test_the_error_has_the_address_and_advice(silent: str, free: str) -> None:
    for address, cause in ((silent, "timed out"), (free, "Connection refused")):
        with Client(address, retry=IMPATIENT) as client, pytest.raises(Unavailable) as caught:
            client.embed(["abc"])
        assert caught.value.message.startswith(f"no server answers at {address}; check the address, or wait")
        assert caught.value.message.endswith(f": {cause}")


def test_a_client_waits_for_a_starting_server(script: Script, free: str) -> None:
    with serving_after(0.7, script, free), Client(free) as client:
        assert client.embed(["abc"])[0].ok


def test_wait_ready_and_retry_wait_longer(script: Script, free: str) -> None:
    with serving_after(1.0, script, free):
        with Client(free, retry=IMPATIENT) as client:
            assert seconds_until(Unavailable, lambda: client.embed(["abc"])) < 0.8
            client.wait_ready(10)
            assert client.embed(["abc"])[0].ok
        with Client(free, retry=Retry(attempts=10)) as patient:
            assert patient.embed(["abc"])[0].ok


async def test_a_connected_client_waits_for_a_restart(script: Script, free: str) -> None:
    with Client(free, retry=IMPATIENT, timeout=20) as client:
        async with AsyncClient(free, retry=IMPATIENT, timeout=20) as asynchronous:
            with serving(script, free):
                assert client.embed(["abc"])[0].ok
                assert (await asynchronous.embed(["abc"]))[0].ok
            with serving_after(1.0, script, free):
                assert (await asynchronous.embed(["abc"]))[0].ok
                assert client.embed(["abc"])[0].ok


def test_a_shorter_timeout_is_a_deadline(silent: str) -> None:
    with Client(silent, timeout=0.2) as client:
        assert seconds_until(DeadlineExceeded, lambda: client.embed(["abc"])) < 1


def test_an_error_from_a_server_counts_as_an_answer(client: Client, script: Script) -> None:
    assert client.health("no.Such").status == "SERVICE_UNKNOWN"
    assert client._link.connected
