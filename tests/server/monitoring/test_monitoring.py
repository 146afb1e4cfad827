"""Metrics, server info, the log and the audit log of a server."""

import asyncio
import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest

from glimpse.client import Client, NewExample, Vector
from glimpse.fewshot import Decision
from glimpse.ledger import CollectionRecord
from glimpse.server.collections import drift
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import QueryStats
from glimpse.server.settings import Settings
from glimpse.server.telemetry.call_record import status_of
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import server_service_pb2 as srv
from glimpse.v1 import types_pb2
from glimpse.v1.server_service_pb2_grpc import ServerServiceStub
from support.forked import run_forked
from support.image_calls import enroll
from support.metrics import address_of, samples
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.wait import soon

CLASSIFY = "ClassificationService/Classify"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def seen(bundles: tuple[Path, Path], folder: Path) -> Iterator[ServerProcess]:
    settings = {"metrics_listen": "127.0.0.1:0", "log_format": "json", "audit_log": folder / "audit.jsonl"}
    with ServerProcess(folder, *bundles, **settings) as process:
        yield process


@pytest.fixture(scope="module")
def stubs(seen: ServerProcess) -> Iterator[Stubs]:
    stubs = Stubs(seen.address)
    yield stubs
    stubs.channel.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def classify(stubs: Stubs, collection: str, colour: str = "red", **options: Any) -> Any:
    request = cls.ClassifyRequest(collections=[collection], inputs=[types_pb2.Input(image=picture(colour))])
    return stubs.classification.Classify.with_call(request, **options)


def trailer(call: Any) -> str:
    return str(dict(call.trailing_metadata())["x-request-id"])


def refused_classify(stubs: Stubs, **options: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        classify(stubs, "collections/nowhere", **options)
    return caught.value


def test_server_info_has_the_versions(stubs: Stubs, collection: str) -> None:
    info = ServerServiceStub(stubs.channel).GetServerInfo(srv.GetServerInfoRequest())
    assert info.versions.python.startswith("3.")
    assert all((info.versions.glimpse, info.versions.onnxruntime, info.versions.faiss))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for limit in srv.Limits.DESCRIPTOR.fields:
        assert getattr(info.limits, limit.name) == defaults[limit.name], limit.name
    assert "CPUExecutionProvider" in info.providers
    assert [(one.name, one.queue_depth, one.max_batch) for one in info.backbones] == [
        ("backbones/tiny", 0, 8),
        ("backbones/tiny-image", 0, 8),
    ]
    assert info.ready
    assert not info.draining
    assert info.collection_count >= 1
    assert info.ledger.kind == "sqlite"
    assert info.ledger.revision == info.ledger.head >= 1
    assert info.uptime_seconds > 0
    assert info.memory_bytes > 10 << 20
    assert info.in_flight == 1
    created = {one.rpc: one for one in info.calls}["CollectionService/CreateCollection"]
    assert created.count >= 1
    assert created.p99_ms >= created.p50_ms > 0
    assert created.per_second > 0


def test_the_client_asks_for_it(seen: ServerProcess, stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    classify(stubs, collection)
    with Client(seen.address) as client:
        info = client.server_info()
    assert info.limits["max_inputs"] == 256
    assert sum(info.decisions.values()) >= 1
    assert info.unknown_rate is not None
    assert [one.name for one in info.backbones] == ["backbones/tiny", "backbones/tiny-image"]


def test_calls_are_counted_by_method_code_and_reason(seen: ServerProcess, stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    before = samples(seen, "glimpse_requests_total")
    classify(stubs, collection)
    refused_classify(stubs)

    def risen() -> dict[tuple[str, ...], float]:
        after = samples(seen, "glimpse_requests_total")
        return {of: after[of] - before.get(of, 0) for of in after if after[of] != before.get(of)}

    wanted = {("OK", "", CLASSIFY): 1, ("NOT_FOUND", "COLLECTION_NOT_FOUND", CLASSIFY): 1}
    soon(lambda: risen() == wanted)
    assert samples(seen, "glimpse_request_seconds_count")[(CLASSIFY,)] >= 2


def test_calls_of_no_method_are_one_series(seen: ServerProcess, stubs: Stubs) -> None:
    def series() -> set[tuple[str, ...]]:
        return set(samples(seen, "glimpse_requests_total"))

    before = series()
    for path in ("/unknown/one", "/unknown/two", "/glimpse.v1.ClassificationService/Three"):
        with pytest.raises(grpc.RpcError):
            stubs.channel.unary_unary(path, bytes, bytes)(b"")
    assert series() - before == {("UNIMPLEMENTED", "", "unknown")}


def test_a_call_that_its_caller_leaves_is_counted_as_cancelled(
    seen: ServerProcess, stubs: Stubs, collection: str
) -> None:
    long = [types_pb2.Input(image=picture(size=(5_000, 5_000)))] * 4
    request = cls.ClassifyRequest(collections=[collection], inputs=long)
    call: Any = stubs.classification.Classify.future(request)
    soon(lambda: samples(seen, "glimpse_requests_in_flight")[()] == 1)
    call.cancel()
    soon(lambda: samples(seen, "glimpse_requests_total").get(("CANCELLED", "", CLASSIFY)))
    assert samples(seen, "glimpse_requests_in_flight")[()] == 0


def test_a_stream_that_its_caller_leaves_is_counted_as_cancelled(seen: ServerProcess, stubs: Stubs) -> None:
    def counts() -> dict[tuple[str, ...], float]:
        values = samples(seen, "glimpse_requests_total")
        return {of[:2]: count for of, count in values.items() if of[2] == "EmbeddingService/StreamEmbed"}

    def requests() -> Iterator[emb.StreamEmbedRequest]:
        yield emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny"))
        yield emb.StreamEmbedRequest(input=types_pb2.Input(text="red"))
        left.wait(30)

    for _ in range(50):
        left = threading.Event()
        call: Any = stubs.embedding.StreamEmbed(requests())
        next(call)
        call.cancel()
        left.set()
    soon(lambda: sum(counts().values()) == 50)
    assert counts() == {("CANCELLED", ""): 50}
    left.set()
    assert len(list(stubs.embedding.StreamEmbed(requests()))) == 1
    soon(lambda: counts() == {("CANCELLED", ""): 50, ("OK", ""): 1})


@pytest.mark.parametrize(
    ("left", "code"), [(None, "CANCELLED"), (5.0, "CANCELLED"), (0.01, "DEADLINE_EXCEEDED"), (-1, "DEADLINE_EXCEEDED")]
)
def test_a_call_cut_off_at_its_deadline_was_too_late(left: float | None, code: str) -> None:
    context: Any = SimpleNamespace(time_remaining=lambda: left)
    assert status_of(context, asyncio.CancelledError()) == (grpc.StatusCode[code], "")


def test_stages_and_batches_are_timed(seen: ServerProcess, stubs: Stubs, collection: str) -> None:
    def counts() -> dict[tuple[str, ...], float]:
        return samples(seen, "glimpse_stage_seconds_count")

    before = counts()
    enroll(stubs, collection, [("red", picture("red"))])
    classify(stubs, collection)
    risen = {stage: count - before[(stage,)] for (stage,), count in counts().items()}
    assert risen == {"decode": 2, "queue": 2, "encode": 2, "head": 1, "commit": 1}
    assert samples(seen, "glimpse_batch_size_count")[()] >= 2
    with Client(seen.address) as client:
        info = client.server_info()
    assert [one.stage for one in info.stages] == ["decode", "queue", "encode", "head", "commit"]
    assert all(one.p99_ms >= one.p50_ms > 0 for one in info.stages)
    assert [one.mean_batch >= 1 for one in info.backbones] == [True, False]  # the other server got no call
    assert samples(seen, "glimpse_queue_depth") == {
        ("tiny", "image"): 0,
        ("tiny", "text"): 0,
        ("tiny-image", "image"): 0,
    }


def test_decisions_are_counted_for_existing_collections(seen: ServerProcess, stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    for _ in range(3):
        classify(stubs, collection)
    name = collection.partition("/")[2]
    values = samples(seen, "glimpse_decisions_total")
    assert sum(count for (of, _), count in values.items() if of == name) == 3
    stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=collection, force=True))
    refused_classify(stubs)
    assert not [of for of, _ in samples(seen, "glimpse_decisions_total") if of in (name, "nowhere")]


def test_collections_beyond_the_most_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "_MAX_COLLECTIONS", 2)
    views = [CollectionView(CollectionRecord(f"c{i}", "b", "s", 4), lambda _: None) for i in range(4)]
    seen = QueryStats()
    for view in views:
        seen.add(view, [Decision.MATCH], np.array([0.5]))
    assert [view.record.id for view, _ in seen] == ["c0", "c1"]
    assert seen.others.decisions[Decision.MATCH] == 2
    assert seen.total.decisions[Decision.MATCH] == 4
    del views[0], view
    seen.add(views[-1], [Decision.MATCH], np.array([0.5]))
    assert [view.record.id for view, _ in seen] == ["c1", "c3"]


def test_queries_unlike_the_examples_drift(seen: ServerProcess) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))

    def like(label: int, spread: float = 0.6) -> Vector:
        return Vector((centres[label] + spread * rng.normal(size=8)).astype(np.float32), space)

    with Client(seen.address) as client:
        space = client.get_backbone("tiny").embedding_space
        for name in ("steady", "drifting"):
            client.create_collection(name, backbone="tiny")
            client.enroll(name, [NewExample(like(i % 3), f"l{i % 3}") for i in range(120)], create_labels=True)
            client.collection_report(name)  # waits for the fit
        client.classify("steady", [like(i % 3) for i in range(100)])
        client.classify("drifting", [like(i % 3, spread=3.0) for i in range(100)])
    drift = samples(seen, "glimpse_drift")
    assert abs(drift[("steady",)]) < 0.5
    assert drift[("drifting",)] > 2
    near = samples(seen, "glimpse_query_similarity")
    assert near[("drifting",)] < near[("steady",)]
    with Client(seen.address) as client:
        by_name = {one.name: one for one in client.server_info().collections}
    assert by_name["collections/drifting"].drift == pytest.approx(drift[("drifting",)])
    decided = samples(seen, "glimpse_decisions_total")[("drifting", "UNKNOWN")]
    assert by_name["collections/drifting"].unknown_rate == decided / 100


def test_a_callers_own_request_id_is_kept(seen: ServerProcess, stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    _, call = classify(stubs, collection, metadata=(("x-request-id", "my-request"),))
    assert trailer(call) == "my-request"
    assert trailer(refused_classify(stubs, metadata=(("x-request-id", "mine-too"),))) == "mine-too"
    [line] = soon(lambda: [one for one in lines(seen.log()) if one.get("request_id") == "mine-too"])
    assert (line["rpc"], line["code"], line["reason"]) == (CLASSIFY, "NOT_FOUND", "COLLECTION_NOT_FOUND")
    assert (line["level"], line["caller"]) == ("INFO", "")
    assert line["seconds"] > 0
    assert line["peer"].startswith("ipv4:127.0.0.1")
    assert not [one for one in lines(seen.log()) if one.get("request_id") == "my-request"]  # succeeded, and is no write


@pytest.mark.parametrize("given", ["", "x" * 65, "two words"])
def test_a_request_id_that_is_invalid_in_a_log_is_replaced(stubs: Stubs, given: str) -> None:
    error = refused_classify(stubs, metadata=(("x-request-id", given),))
    assert len(trailer(error)) == 16
    assert trailer(error) != given


def test_every_write_is_audited(stubs: Stubs, collection: str, folder: Path) -> None:
    mine = (("x-request-id", f"audit-{collection[-8:]}"),)
    name = collection.partition("/")[2]
    examples = [col.NewExample(label_id="red", input=types_pb2.Input(image=picture((i, 0, 0)))) for i in range(25)]
    stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(parent=collection, examples=examples, create_labels=True), metadata=mine
    )
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection}/labels/red", force=True), metadata=mine)
    with pytest.raises(grpc.RpcError):
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id="a/b"), metadata=mine)
    stubs.collections.GetCollection(col.GetCollectionRequest(name=collection), metadata=mine)

    def audit_lines() -> list[dict[str, Any]]:
        return [one for one in lines((folder / "audit.jsonl").read_text()) if one["request_id"] == mine[0][1]]

    entries = soon(lambda: audit_lines() if len(audit_lines()) == 3 else None)
    assert [one["rpc"].partition("/")[2] for one in entries] == ["EnrollExamples", "DeleteLabel", "CreateLabel"]
    assert {one["collection"] for one in entries} == {name}
    enrolled, deleted, refused = entries
    assert len(enrolled["subjects"]) == 20 < enrolled["subject_count"] == 25
    assert (deleted["subjects"], deleted["revision"]) == (["red"], enrolled["revision"] + 1)
    assert (refused["code"], refused["reason"], refused["revision"]) == ("INVALID_ARGUMENT", "INVALID_ID", 0)
    assert all(one["time"] and one["caller"] == "" for one in entries)


def test_the_metrics_are_at_their_path_alone(seen: ServerProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address_of(seen).replace("/metrics", "/"), timeout=10)
    assert caught.value.code == 404
    caught.value.close()


def test_a_slow_metrics_client_delays_neither_others_nor_the_server(seen: ServerProcess) -> None:
    assert seen.process
    tasks = Path(f"/proc/{seen.process.pid}/task")
    host, port = address_of(seen).removesuffix("/metrics").rpartition("/")[2].split(":")
    samples(seen, "glimpse_ready")
    before = len(list(tasks.iterdir()))
    with ExitStack() as stack:
        several = [stack.enter_context(socket.create_connection((host, int(port)), timeout=10)) for _ in range(60)]
        for one in several:
            with suppress(OSError):  # the server closed it already to make room
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        assert samples(seen, "glimpse_ready") == {(): 1}
        assert len(list(tasks.iterdir())) <= before + 1  # another server in this process may have started its thread
        with suppress(ConnectionError):
            assert several[0].recv(1) == b""
        several[-1].sendall(b"\r\n")  # a connection that ends after everything is answered
        assert several[-1].recv(12) == b"HTTP/1.1 200"


def test_a_request_without_end_is_given_up(seen: ServerProcess) -> None:
    host, port = address_of(seen).removesuffix("/metrics").rpartition("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as one, suppress(ConnectionError):
        one.sendall(b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000)
        assert one.recv(1) == b""


def test_metrics_that_others_reach_want_that_to_be_meant(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, bundles[0], metrics_listen="0.0.0.0:0")
    with pytest.raises(AssertionError, match="metrics_insecure"):
        server.start()
    with ServerProcess(tmp_path, bundles[0], metrics_listen="0.0.0.0:0", metrics_insecure=True) as server:
        assert samples(server, "glimpse_ready") == {(): 1}


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:http", "127.0.0.1:99999"])
def test_metrics_that_cannot_be_served_are_an_error_at_the_start(
    listen: str, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    server = ServerProcess(tmp_path, bundles[0], metrics_listen=listen)
    with pytest.raises(AssertionError, match="metrics"):
        server.start()


def serve_in_json(folder: Path, *options: object) -> list[dict[str, Any]]:
    """Returns the stderr of a server that refuses to start."""
    command = ["serve", "--data", str(folder), *map(str, options)]
    done = run_forked(command, {**os.environ, "GLIMPSE_LOG_FORMAT": "json"})
    assert done.returncode == 1
    return lines(done.stderr)


def test_the_error_that_ends_a_start_is_a_line_of_the_log(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [made, last] = serve_in_json(tmp_path, "--listen", f"127.0.0.1:{port}", "--backbone", bundles[0])
    assert made["message"].startswith("ledger migrated from nothing → ")
    assert last["level"] == "CRITICAL"
    assert last["message"].startswith(f"cannot listen on 127.0.0.1:{port}")
    # The ledger has this version already, so the log does not mention it.
    [last] = serve_in_json(tmp_path, "--listen", "127.0.0.1:0", "--backbone", tmp_path / "absent")
    assert (last["level"], "absent" in last["message"]) == ("CRITICAL", True)
    [last] = serve_in_json(tmp_path / "file", "--backbone", bundles[0])
    assert "cannot be the data folder" in last["message"]


def test_as_text_a_line_ends_in_the_request_id(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0], log_level="debug") as server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs)
        _, call = stubs.collections.GetCollection.with_call(col.GetCollectionRequest(name=collection))
        stubs.channel.close()
    [line] = [one for one in server.log().splitlines() if one.endswith(f"[{trailer(call)}]")]
    assert "DEBUG glimpse.server.telemetry.call_record: CollectionService/GetCollection: OK after " in line
    [audit] = [one for one in server.log().splitlines() if "glimpse.audit" in one]
    assert f"collection={collection.partition('/')[2]!r}" in audit
