"""Streams keep their order, hold back fast inputs, can be cancelled, and recover from breaks."""

import time
from collections.abc import Iterator

import grpc
import pytest

from glimpse.client import Client, Input, NotFound, Retry, Unavailable

from ..conftest import Script, texts


def test_results_come_in_order(client: Client) -> None:
    labels = [result.unwrap().label for result in client.stream_classify("c", texts(500))]
    assert labels == texts(500)


def test_embedding_streams_too(client: Client) -> None:
    vectors = [result.unwrap().values[0] for result in client.stream_embed(["a", "bb", "ccc"])]
    assert vectors == [1.0, 2.0, 3.0]


def test_inputs_are_read_ahead_by_the_window_at_most(client: Client) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield str(read)

    answers = client.stream_classify("c", endless(), window=5)
    for taken in range(1, 20):
        next(answers)
        time.sleep(0.005)
        assert read <= taken + 5
    answers.close()


def test_a_result_does_not_wait_for_the_next_input(client: Client) -> None:
    answered: list[str] = []

    def dialogue() -> Iterator[str]:
        yield "first"
        while not answered:
            time.sleep(0.005)
        yield "second"

    for result in client.stream_classify("c", dialogue()):
        answered.append(result.unwrap().label)  # noqa: PERF401  (the inputs read the list)
    assert answered == ["first", "second"]


def test_closing_the_iterator_cancels_the_call(client: Client, script: Script) -> None:
    script.delay = 0.05
    answers = client.stream_classify("c", texts(1000))
    next(answers)
    answers.close()
    assert script.cancelled.wait(5)
    assert len(script.streamed) < 10


def test_a_broken_stream_continues_where_it_stopped(client: Client, script: Script) -> None:
    script.break_after = [3, 0, 4]
    labels = [result.unwrap().label for result in client.stream_classify("c", texts(50), window=8)]
    assert labels == texts(50)


def test_a_stream_that_keeps_breaking_fails(address: str, script: Script) -> None:
    script.break_after = [2, 0, 0, 0, 0, 0, 0]
    with Client(address, retry=Retry(attempts=5)) as client:
        answers = client.stream_classify("c", texts(50))
        assert [next(answers).unwrap().label for _ in range(2)] == ["t0", "t1"]
        with pytest.raises(Unavailable) as caught:
            next(answers)
        assert caught.value.attempts == 5


def test_a_refused_stream_raises(client: Client, script: Script) -> None:
    script.faults = [(grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND", None)]
    with pytest.raises(NotFound):
        list(client.stream_classify("nowhere", texts(3)))


def test_a_busy_item_is_sent_again_and_keeps_its_position(client: Client, script: Script) -> None:
    script.busy = {"t3": 2}
    results = list(client.stream_classify("c", (Input(text, id=text) for text in texts(6))))
    assert [result.unwrap().label for result in results] == texts(6)
    assert [request.inputs[0].id for request in script.requests] == ["t3", "t3"]


def test_a_bad_item_keeps_its_position(client: Client) -> None:
    results = list(client.stream_classify("c", ["a", "bad", "\ud800", "b"]))
    assert [result.ok for result in results] == [True, False, False, True]
    assert results[2].error is not None
    assert results[2].error.reason == "TEXT_INVALID"


def test_an_error_of_the_inputs_follows_the_earlier_results(client: Client) -> None:
    def failing() -> Iterator[str]:
        yield from ("a", "b")
        raise LookupError("my own")

    answers = client.stream_classify("c", failing())
    assert [next(answers).unwrap().label for _ in range(2)] == ["a", "b"]
    with pytest.raises(LookupError, match="my own"):
        next(answers)


def test_a_stream_that_is_never_read_reads_no_input(client: Client) -> None:
    def inputs() -> Iterator[str]:
        pytest.fail("read")
        yield ""

    client.stream_classify("c", inputs())
