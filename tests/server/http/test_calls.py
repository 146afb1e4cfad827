"""Calls over HTTP pass the same credentials, limits, metrics, log and drain as those over gRPC."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from glimpse.server.app import _http_listener
from glimpse.server.http.probes import Probe
from glimpse.server.settings import SettingsError, load_settings
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work
from support.http_calls import HttpChannel, HttpRefused, post, request
from support.keys import make_key, until_known
from support.metrics import samples
from support.pictures import picture
from support.raw_calls import bearer
from support.server import ServerProcess, Stubs
from support.status import Refused, refused
from support.wait import soon

Code = grpc.StatusCode
EMBED = "/glimpse.v1.EmbeddingService/Embed"
CREATE = "/glimpse.v1.CollectionService/CreateCollection"
JSON = [("content-type", "application/json")]


@pytest.fixture(params=[False, True], ids=["json", "binary"])
def http_stubs(request: pytest.FixtureRequest, server: ServerProcess) -> Stubs:
    return Stubs("", HttpChannel(server.url, binary=request.param))


def test_both_transports_answer_alike(stubs: Stubs, http_stubs: Stubs) -> None:
    inputs = [Input(id="a", image=picture()), Input(id="b", text="red"), Input(id="c", image=b"none")]
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)
    answers = [one.embedding.Embed(request) for one in (stubs, http_stubs)]
    for answer in answers:
        for result in answer.results:
            result.ClearField("timings")
    assert answers[0] == answers[1]
    assert answers[1].results[2].status.reason == "IMAGE_FORMAT_UNKNOWN"


def test_a_collection_that_is_made_over_http_is_seen_over_grpc(stubs: Stubs, http_stubs: Stubs) -> None:
    collection_id = f"c-{time.monotonic_ns()}"
    request = col.CreateCollectionRequest(collection_id=collection_id, collection={"backbone": "backbones/tiny"})
    created = http_stubs.collections.CreateCollection(request)
    example = col.NewExample(label_id="red", input=Input(text="red"))
    enrolled = http_stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(parent=created.collection.name, examples=[example], create_labels=True)
    )
    assert enrolled.revision > created.revision
    listed = stubs.collections.ListExamples(col.ListExamplesRequest(parent=created.collection.name))
    assert [one.label_id for one in listed.examples] == ["red"]


@pytest.fixture(scope="module")
def place(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("http")
    settings = {"require_auth": True, "metrics_listen": "127.0.0.1:0", "log_format": "json", "decode_threads": 1}
    with ServerProcess(folder, bundles[0], http="127.0.0.1:0", audit_log=folder / "audit", **settings) as server:
        yield server


def test_a_write_over_http_is_in_the_audit_and_the_metrics(place: ServerProcess) -> None:
    key = make_key(place.folder, "writer", "admin")
    until_known(place.address, key)
    request = col.CreateCollectionRequest(collection_id="audited", collection={"backbone": "backbones/tiny"})
    post(place.url, CREATE, request, [bearer(key), ("x-request-id", "over-http")])
    with refused(Code.ALREADY_EXISTS, "COLLECTION_EXISTS", "collection_id"):
        post(place.url, CREATE, request, [bearer(key)])
    lines = [json.loads(line) for line in (place.folder / "audit").read_text().splitlines()]
    of_http = [line for line in lines if line.get("request_id") == "over-http"]
    assert [(one["rpc"], one["caller"], one["collection"]) for one in of_http] == [
        ("CollectionService/CreateCollection", "writer", "audited")
    ]
    counted = samples(place, "glimpse_requests_total")
    rpc = "CollectionService/CreateCollection"
    assert counted["OK", "", rpc] == counted["ALREADY_EXISTS", "COLLECTION_EXISTS", rpc] == 1


def test_the_rate_of_a_key_counts_calls_over_both_transports(place: ServerProcess) -> None:
    key = make_key(place.folder, "slow", "read", "--requests-per-second", "0.001")
    until_known(place.address, key)  # spends the only request
    with refused(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED") as refusal:
        post(place.url, "/glimpse.v1.EmbeddingService/ListBackbones", None, [bearer(key)])
    assert refusal.retry_delay


def test_a_revoked_or_wrong_key_is_refused_in_the_same_words(place: ServerProcess) -> None:
    wrong = f"glimpse_{'0' * 16}_{'0' * 64}"
    with refused(Code.UNAUTHENTICATED, "CREDENTIALS_INVALID"):
        post(place.url, EMBED, None, [bearer(wrong)])
    with refused(Code.UNAUTHENTICATED, "CREDENTIALS_INVALID"):
        post(place.url, EMBED, None, [("authorization", "Basic abc")])


def test_probes_need_no_key_and_say_what_is_served(place: ServerProcess) -> None:
    for path in ("/healthz", "/readyz"):
        status, _, content = request(place.url, path, verb="GET")
        assert (status, json.loads(content)) == (200, {"status": "SERVING"})


@pytest.mark.parametrize(
    ("status", "http_status"), [("SERVING", 200), ("NOT_SERVING", 503), ("SERVICE_UNKNOWN", 503), ("UNKNOWN", 503)]
)
def test_a_probe_is_200_only_while_the_service_serves(status: str, http_status: int) -> None:
    response = health_pb2.HealthCheckResponse(status=status)
    reply = Probe("").encode(response.SerializeToString())
    assert (reply.status, json.loads(reply.content)) == (http_status, {"status": status})


def test_a_deadline_ends_a_call_that_waits(place: ServerProcess) -> None:
    key = make_key(place.folder, "patient", "classify")
    until_known(place.address, key)
    large = emb.EmbedRequest(inputs=[Input(image=picture(size=(5_000, 5_000)))] * 8)
    with pytest.raises(HttpRefused) as caught:
        post(place.url, EMBED, large, [bearer(key), ("connect-timeout-ms", "50")], binary=True)
    refusal = Refused()
    refusal.read(caught.value)
    assert (caught.value.http_status, refusal.reason) == (504, "DEADLINE_EXCEEDED")


def test_a_stopping_server_ends_running_calls_and_refuses_new_ones(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    settings = {"decode_threads": 1, "metrics_listen": "127.0.0.1:0", "http": "127.0.0.1:0"}
    large = emb.EmbedRequest(inputs=[Input(image=picture(size=(3_500, 3_500)))] * 4)
    with ServerProcess(tmp_path, bundles[0], **settings) as server, ThreadPoolExecutor(1) as sender:
        running = sender.submit(post, server.url, EMBED, large, binary=True)
        soon(lambda: active_work(server)["calls"])
        assert server.process
        server.process.send_signal(signal.SIGTERM)
        soon(lambda: "draining" in server.log())
        if not running.done():
            status, _, content = request(server.url, EMBED, b"{}", JSON)
            assert (status, json.loads(content)["code"]) == (503, "unavailable")
            assert request(server.url, "/readyz", verb="GET")[0] == 503
        answer = emb.EmbedResponse.FromString(running.result(30))
        assert [one.status.code for one in answer.results] == [0] * 4
        assert server.process.wait(30) == 0


async def test_without_the_extra_a_server_does_not_start_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("listener", "application", "connection"):
        monkeypatch.delitem(sys.modules, f"glimpse.server.http.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    runtime: Any = SimpleNamespace(settings=load_settings(http="127.0.0.1:0"))
    auth: Any = None
    with pytest.raises(SettingsError, match=r"uvicorn is not installed: pip install 'glimpse-fewshot\[server,http\]'"):
        async with _http_listener(runtime, auth, lambda _: None):
            pass
