"""The async client does what the sync client does."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import grpc
import pytest

from glimpse.client import (
    AsyncClient,
    Client,
    DecisionPolicy,
    Head,
    Input,
    LabelRole,
    NewExample,
    NotFound,
    Unavailable,
)
from glimpse.v1.collection_service_pb2 import GetCollectionReportResponse

from .conftest import Script, texts


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, timeout=10) as client:
        yield client


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


async def test_calls_retries_and_errors(client: AsyncClient, script: Script) -> None:
    script.faults = [(grpc.StatusCode.UNAVAILABLE, "STARTING", None)] * 2
    [result] = await client.embed(["abc"])
    assert result.unwrap().values.tolist() == [3.0, 1.0]
    script.faults = [(grpc.StatusCode.NOT_FOUND, "BACKBONE_NOT_FOUND", None)]
    with pytest.raises(NotFound) as caught:
        await client.get_backbone("x")
    assert caught.value.reason == "BACKBONE_NOT_FOUND"


async def test_enrollment_and_listing(client: AsyncClient, script: Script) -> None:
    script.busy = {"t1": 1}
    enrollment = await client.enroll("c", [NewExample(text, "l", id=text) for text in texts(3)])
    assert [result.unwrap().id for result in enrollment.results] == texts(3)
    assert len([backbone async for backbone in client.list_backbones()]) == 6
    assert (await client.health()).serving
    await client.wait_ready(5)


async def test_a_stream_keeps_order_over_breaks_and_busy_items(client: AsyncClient, script: Script) -> None:
    script.break_after, script.busy = [3, 0], {"t30": 1}

    async def inputs() -> AsyncIterator[Input]:
        for text in texts(60):
            yield Input(text, id=text)

    labels = [result.unwrap().label async for result in client.stream_classify("c", inputs(), window=8)]
    assert labels == texts(60)


async def test_a_stream_reads_no_further_ahead_than_the_window(client: AsyncClient) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield str(read)

    async with aclosing(client.stream_classify("c", endless(), window=5)) as answers:
        for taken in range(1, 20):
            await anext(answers)
            await asyncio.sleep(0.005)
            assert read <= taken + 5


async def test_closing_a_stream_cancels_the_call(client: AsyncClient, script: Script) -> None:
    script.delay = 0.05
    answers = client.stream_classify("c", texts(1000))
    await anext(answers)
    await answers.aclose()
    assert await asyncio.to_thread(script.cancelled.wait, 5)


async def test_an_error_of_the_inputs_comes_after_the_answers_before_it(client: AsyncClient) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("my own")

    answers = client.stream_embed(failing())
    assert (await anext(answers)).ok
    with pytest.raises(LookupError, match="my own"):
        await anext(answers)


async def test_calls_without_a_server() -> None:
    async with AsyncClient("127.0.0.1:1", timeout=0.4) as client:
        with pytest.raises(Unavailable):
            await client.embed(["x"])
        with pytest.raises(Unavailable, match="not ready"):
            await client.wait_ready(0.2)


async def test_collections_labels_and_reports(client: AsyncClient, script: Script) -> None:
    made = await client.create_collection("c", policy=DecisionPolicy(coverage=0.95), pinned_head=Head.LDA)
    assert (made.policy.coverage, made.pinned_head) == (0.95, Head.LDA)
    assert (await client.update_collection(made, reset="coverage")).policy.coverage is None
    assert (await client.create_label("c", "none", role=LabelRole.NEGATIVE)).role is LabelRole.NEGATIVE
    script.answers["GetCollectionReport"] = GetCollectionReportResponse(revision=7, advice=["add wrens"])
    report = await client.collection_report("c")
    assert (report.revision, report.advice) == (7, ("add wrens",))
    enrollment = await client.enroll("c", [NewExample("x", "l")], measure_accuracy=True)
    assert enrollment.accuracy_after is not None
    await client.classify("c", ["x"], domain="garden")
    assert script.requests[-1].options.domain == "garden"


@pytest.mark.parametrize("name", sorted(name for name in dir(Client) if not name.startswith("_")))
def test_its_methods_take_the_same_arguments(name: str) -> None:
    def arguments(kind: type) -> dict[str, object]:
        return {
            parameter.name: parameter.default
            for parameter in inspect.signature(getattr(kind, name)).parameters.values()
        }

    assert arguments(Client) == arguments(AsyncClient)
