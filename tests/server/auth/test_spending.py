"""Everything that a key sends counts against its limits: prompts, configs, and unparsable bytes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.client import Client
from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as collections
from glimpse.v1 import embedding_service_pb2 as embedding
from support.keys import make_key
from support.raw_calls import bearer, call
from support.server import ServerProcess
from support.status import refused

CODE = grpc.StatusCode
EMBED, STREAM = "/glimpse.v1.EmbeddingService/Embed", "/glimpse.v1.EmbeddingService/StreamEmbed"
ZERO_SHOT = "/glimpse.v1.ClassificationService/ClassifyZeroShot"
LABELS = "/glimpse.v1.CollectionService"
#: A rate so low that the next call still sees the debt of the previous one, however slow the machine is.
FEW = "0.01"


class Place:
    """A server that requires keys, with the collection `birds`."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._count = 0

    def key(self, *limits: str, scope: str = "enroll") -> tuple[str, str]:
        """Returns metadata with a new key that has these limits."""
        self._count += 1
        key = make_key(self.server.folder, f"k{self._count}", scope, *limits)
        with Client(self.server.address, api_key=key) as client:
            client.wait_ready()
        metadata = bearer(key)
        end = time.monotonic() + 30
        while True:  # until the server has heard of it; an rpc that there is not costs no inputs and no bytes
            try:
                call(self.server.address, "/glimpse.v1.EmbeddingService/Nothing", None, metadata)
            except grpc.RpcError as error:
                if error.code() is not CODE.UNAUTHENTICATED:
                    return metadata
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture(scope="module")
def place(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("spending")
    admin = make_key(folder, "admin", "admin")
    with ServerProcess(folder, bundles[0], require_auth=True, max_message_bytes=1 << 20) as server:
        with Client(server.address, api_key=admin) as client:
            client.create_collection("birds")
        yield Place(server)


def classify_zero_shot(*prompts: str, use_templates: bool = False) -> classification.ClassifyZeroShotRequest:
    labels = [{"label_id": f"l{i}", "prompts": [one]} for i, one in enumerate(prompts)]
    return classification.ClassifyZeroShotRequest(inputs=[{"text": "x"}], labels=labels, use_templates=use_templates)


def debt(place: Place, key: tuple[str, str]) -> float:
    """Returns the number of inputs of a key's debt, at FEW inputs per second."""
    request = embedding.EmbedRequest(inputs=[{"text": "a"}])
    with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED") as found:
        call(place.server.address, EMBED, request, key)
    assert found.retry_delay is not None
    return found.retry_delay * float(FEW)


def test_a_labels_prompts_are_inputs(place: Place) -> None:
    key, label = place.key("--inputs-per-second", FEW), collections.Label(prompts=[f"one {i}" for i in range(20)])
    request = collections.CreateLabelRequest(parent="collections/birds", label_id="jay", label=label)
    call(place.server.address, f"{LABELS}/CreateLabel", request, key)
    assert 19.5 < debt(place, key) <= 20
    # The second call has nothing to embed, but must first wait for the debt.
    other = place.key("--inputs-per-second", FEW)
    label.name = "collections/birds/labels/jay"
    update = collections.UpdateLabelRequest(label=label, update_mask={"paths": ["prompts"]})
    call(place.server.address, f"{LABELS}/UpdateLabel", update, other)
    update.label.prompts[:] = ["two 1", "two 2"]
    call(place.server.address, f"{LABELS}/UpdateLabel", update, other)
    assert 1.5 < debt(place, other) <= 2
    update.label.prompts[:] = ["three"]
    with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED"):
        call(place.server.address, f"{LABELS}/UpdateLabel", update, other)


def test_prompts_in_templates_count_as_inputs(place: Place) -> None:
    key = place.key("--inputs-per-second", FEW, scope="classify")
    request = classify_zero_shot("crow", "rook", "magpie", use_templates=True)
    call(place.server.address, ZERO_SHOT, request, key)
    assert 6.5 < debt(place, key) <= 7, "three prompts in each of two templates, and an input"
    # Prompts in the cache cost the encoder nothing, so they cost the caller nothing.
    other = place.key("--inputs-per-second", FEW, scope="classify")
    call(place.server.address, ZERO_SHOT, request, other)
    assert 0.5 < debt(place, other) <= 1


def test_a_call_refused_for_its_prompts_passes_after_the_retry_delay(place: Place) -> None:
    key = place.key("--inputs-per-second", "20", scope="classify")
    call(place.server.address, ZERO_SHOT, classify_zero_shot(*(f"first {i}" for i in range(40))), key)
    request = classify_zero_shot(*(f"second {i}" for i in range(40)))
    with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED") as found:
        call(place.server.address, ZERO_SHOT, request, key)
    assert found.retry_delay
    for _ in range(50):  # its input alone is never taken again and again without its prompts
        time.sleep(found.retry_delay)
        try:
            call(place.server.address, ZERO_SHOT, request, key)
            return
        except grpc.RpcError as error:
            found.read(error)
    pytest.fail("it never passed")


def stream(place: Place, key: tuple[str, str], messages: Iterable[bytes]) -> list[embedding.EmbedResult]:
    with grpc.insecure_channel(place.server.address) as channel:
        read = embedding.StreamEmbedResponse.FromString
        answers: Any = channel.stream_stream(STREAM, None, read)(iter(messages), timeout=30, metadata=(key,))
        return [one.result for one in answers]


def message(**what: Any) -> bytes:
    request = embedding.StreamEmbedRequest(**what)
    if not what:
        request.config.SetInParent()
    return request.SerializeToString()


def test_each_byte_of_a_stream_counts(place: Place) -> None:
    config = message(config={"backbone": "backbones/tiny"})
    given, junk = message(input={"text": "a"}), b"\xff" * 9_500
    key, start = place.key("--bytes-per-second", "10000", scope="classify"), time.monotonic()
    results = stream(place, key, [config, given, config, *[junk] * 20])
    reasons, seconds = [one.status.reason for one in results], time.monotonic() - start
    assert reasons[:2] == ["", "INPUT_REQUIRED"]
    assert set(reasons[2:]) == {"MESSAGE_UNPARSABLE", "RATE_LIMITED"}
    assert reasons.count("MESSAGE_UNPARSABLE") <= 2 + seconds, "each of them is almost a second's bytes"


def test_a_streams_config_counts(place: Place) -> None:
    key = place.key("--bytes-per-second", FEW, scope="classify")
    with grpc.insecure_channel(place.server.address) as channel:
        opened: Any = channel.stream_stream(STREAM, None, None)(iter([message()]), timeout=30, metadata=(key,))
        assert not list(opened)
    with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED") as found:
        stream(place, key, [message()])
    assert found.retry_delay


def test_a_call_that_is_no_message_or_too_long_counts(place: Place) -> None:
    request = embedding.EmbedRequest(inputs=[{"text": "x" * (1 << 20)}])
    for content, reason in ((b"\xff" * 50, "MESSAGE_UNPARSABLE"), (request.SerializeToString(), "MESSAGE_TOO_LARGE")):
        key = place.key("--bytes-per-second", FEW, scope="classify")
        for expected in (reason, "RATE_LIMITED"):
            with grpc.insecure_channel(place.server.address) as channel:
                code = CODE.INVALID_ARGUMENT if expected == "MESSAGE_UNPARSABLE" else CODE.RESOURCE_EXHAUSTED
                with refused(code, expected):
                    channel.unary_unary(EMBED, None, None)(content, timeout=30, metadata=(key,))


async def begun(channel: Any, key: tuple[str, str]) -> Any:
    """Returns a stream that is open and has answered."""
    for _ in range(5):
        opened: Any = channel.stream_stream(STREAM)(timeout=120, metadata=(key,))
        try:
            await opened.write(message())
            await opened.write(message(input={"text": "a"}))
            assert await opened.read()
        except grpc.aio.AioRpcError as error:
            # grpc.aio loses the status of a call that the server ends while a message is being sent.
            if error.details() != "Internal error from Core":
                raise
        else:
            return opened
    raise AssertionError("the status of the call was lost five times")


async def test_the_streams_of_a_caller_have_a_limit_over_all_connections(place: Place) -> None:
    most = 500  # see glimpse.server.scheduling.inflight
    key, other = place.key(scope="classify"), place.key(scope="classify")
    async with AsyncExitStack() as stack:
        local = [("grpc.use_local_subchannel_pool", 1)]
        channels: list[Any] = [
            await stack.enter_async_context(grpc.aio.insecure_channel(place.server.address, local)) for _ in range(5)
        ]
        opened = [await begun(channels[number % len(channels)], key) for number in range(most)]
        with refused(CODE.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS") as found:
            await begun(channels[0], key)
        assert found.retry_delay
        await begun(channels[0], other)
        await opened[0].done_writing()
        assert await opened[0].code() is CODE.OK
        await begun(channels[0], key)
