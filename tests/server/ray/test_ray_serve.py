"""The deployment on a real Ray, over Serve's own gRPC proxy: two replicas on one PostgreSQL."""

import asyncio
import itertools
import queue
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from unittest.mock import Mock

import grpc
import numpy as np
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.client import Client, Decision, NewExample, NotFound, Unauthenticated, Vector
from glimpse.server.inference.device import DeviceLost
from glimpse.server.ray.options import Options, settings_of
from glimpse.server.settings import SettingsError
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.bundles import tiny_dual_bundle
from support.keys import make_key
from support.postgres import Postgres, postgres
from support.ray_serve import ROOT, Metadata, RayServe
from support.server import Stubs, make_collection
from support.status import refused

pytest.importorskip("ray", reason="ray is not installed: pip install 'glimpse-fewshot[server,ray]'")
Code = grpc.StatusCode
# Ray takes its time to start, once for all of them, and so does a replica that was killed.
pytestmark = [pytest.mark.rest, pytest.mark.timeout(600)]
_SECONDS = 120.0
# Importing ray.serve uses deprecated functions.
QUIET = pytest.mark.filterwarnings("ignore:Using extra keyword arguments:DeprecationWarning")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dual_bundle(tmp_path_factory.mktemp("bundle") / "tiny").path


@pytest.fixture(scope="module")
def cluster(database: Postgres, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayServe]:
    with RayServe(tmp_path_factory.mktemp("ray"), bundle, database.database()) as running:
        with Client(running.address) as client:
            client.wait_ready(_SECONDS)
        yield running


@pytest.fixture(scope="module")
def stubs(cluster: RayServe) -> Iterator[Stubs]:
    stubs = Stubs(cluster.address)
    yield stubs
    stubs.channel.close()


@pytest.fixture
def client(cluster: RayServe) -> Iterator[Client]:
    with Client(cluster.address, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the cluster: see RayServe."""
    monkeypatch.setenv("GLIMPSE_INSECURE", "1")


class Open:
    """A StreamClassify that stays open at the replica that took it."""

    def __init__(self, stubs: Stubs, collection: str, revision: int) -> None:
        self._sent: queue.Queue[cls.StreamClassifyRequest | None] = queue.Queue()
        options = cls.ClassifyOptions(min_revision=revision)
        config = cls.StreamClassifyConfig(collections=[collection], options=options)
        self._sent.put(cls.StreamClassifyRequest(config=config))
        self._call: Any = stubs.classification.StreamClassify(iter(self._sent.get, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sent.put(None)
        self._call.cancel()

    def ask(self, given: types_pb2.Input) -> str:
        """Returns the label of an input."""
        self._sent.put(cls.StreamClassifyRequest(input=given))
        result = next(self._call).result
        assert not result.status.code, result
        return str(result.classifications[0].label_id)


def soon(cluster: RayServe, wanted: Any, application: str = "glimpse") -> dict[str, int]:
    """Returns the state of the deployment once it is as expected."""
    end = time.monotonic() + _SECONDS
    while not wanted(ongoing := cluster.ongoing(application)):
        assert time.monotonic() < end, ongoing
        time.sleep(0.2)
    return ongoing


def on_each(cluster: RayServe, stubs: Stubs, collection: str, revision: int, given: types_pb2.Input) -> set[str]:
    """Returns the labels of an input from both replicas at a revision. Opens streams until each replica has one."""
    # Those of callers who went away are gone.
    soon(cluster, lambda ongoing: len(ongoing) == 2 and not any(ongoing.values()))
    found = set()
    with ExitStack() as stack:
        for _ in range(40):
            found.add(stack.enter_context(Open(stubs, collection, revision)).ask(given))
            if all(cluster.ongoing().values()):
                return found
            time.sleep(0.5)  # the proxy may not know a replica that has just restarted
    raise AssertionError("one of the replicas was never asked")


def vector(stubs: Stubs, number: int) -> types_pb2.Input:
    row = np.random.default_rng(number).normal(size=8).astype("<f4")
    row /= np.linalg.norm(row)
    space = stubs.embedding.GetBackbone(emb.GetBackboneRequest(name="backbones/tiny")).backbone.embedding_space
    return types_pb2.Input(vector=types_pb2.Vector(data=row.tobytes(), embedding_space=space))


def enroll(stubs: Stubs, collection: str, label: str, number: int) -> int:
    """Enrolls examples; returns the revision of the write."""
    example = col.NewExample(label_id=label, input=vector(stubs, number))
    request = col.EnrollExamplesRequest(parent=collection, examples=[example], create_labels=True)
    response = stubs.collections.EnrollExamples(request)
    assert not response.results[0].status.code, response
    return int(response.revision)


def test_both_replicas_answer_with_enrolments_of_either(cluster: RayServe, stubs: Stubs) -> None:
    collection = make_collection(stubs)
    for number, label in enumerate(("robin", "wren", "owl")):
        revision = enroll(stubs, collection, label, number)
        assert on_each(cluster, stubs, collection, revision, vector(stubs, number)) == {label}
    for number in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.metrics + number}/metrics", timeout=30) as response:
            assert 'rpc="ClassificationService/StreamClassify"' in response.read().decode(), number


def test_calls_see_what_another_replica_wrote(stubs: Stubs) -> None:
    collection = make_collection(stubs)
    for number in range(12):
        revision = enroll(stubs, collection, f"label-{number}", number)
        request = cls.SearchExamplesRequest(
            collection=collection, inputs=[vector(stubs, number)], top_k=1, min_revision=revision
        )
        [result] = stubs.classification.SearchExamples(request, timeout=30).results
        assert result.neighbors[0].label_id == f"label-{number}"
    labels = stubs.collections.ListLabels(col.ListLabelsRequest(parent=collection, page_size=100)).labels
    assert len(labels) == 12


def test_the_client_library_has_all_it_needs(client: Client) -> None:
    client.create_collection("words", backbone="tiny")
    texts = [f"word {number}" for number in range(40)]
    streamed = [result.unwrap().values for result in client.stream_embed(texts, backbone="tiny", window=8)]
    at_once = [result.unwrap().values for result in client.embed(texts, backbone="tiny")]
    assert np.allclose(streamed, at_once, atol=1e-6)
    space = client.get_backbone("tiny").embedding_space
    vectors = [Vector(row, space) for row in np.random.default_rng(0).normal(size=(40, 8))]
    examples = [NewExample(given, f"label-{number}") for number, given in enumerate(vectors)]
    revision = client.enroll("words", examples, create_labels=True).revision
    streamed_answers = client.stream_classify("words", vectors, evidence=1, window=8, min_revision=revision)
    answers = [result.unwrap() for result in streamed_answers]
    assert [answer.evidence[0].label for answer in answers] == [example.label for example in examples]
    assert {answer.decision for answer in answers} <= set(Decision)
    with pytest.raises(NotFound) as caught:
        client.classify("nowhere", texts[:1])
    assert (caught.value.reason, caught.value.field) == ("COLLECTION_NOT_FOUND", "collections[0]")
    assert caught.value.request_id
    assert client.server_info().ready


def test_refusals_keep_reason_field_and_time(stubs: Stubs) -> None:
    collection = make_collection(stubs)
    given = vector(stubs, 1)
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "options.top_k"):
        options = cls.ClassifyOptions(top_k=-1)
        stubs.classification.Classify(cls.ClassifyRequest(collections=[collection], inputs=[given], options=options))
    # Nothing comes before the refusal of a stream: no empty answer, which would be taken for the first input's.
    expected = refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND", "config.collections[0]")
    with Open(stubs, "collections/no", 0) as opened, expected:
        opened.ask(given)
    with refused(Code.UNAVAILABLE, "REVISION_NOT_REACHED", "min_revision") as caught:
        request = cls.SearchExamplesRequest(collection=collection, inputs=[given], min_revision=1_000_000)
        stubs.classification.SearchExamples(request, timeout=5)
    assert caught.retry_delay


def test_bytes_that_are_no_message_are_refused_as_everywhere(stubs: Stubs) -> None:
    for method in ("/glimpse.v1.EmbeddingService/Embed", "/grpc.health.v1.Health/Check"):
        with refused(Code.INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"):
            stubs.channel.unary_unary(method, None, None)(b"\xff", timeout=60)
    config = emb.StreamEmbedRequest(config=emb.StreamEmbedConfig()).SerializeToString()
    good = emb.StreamEmbedRequest(input=types_pb2.Input(id="good", text="red")).SerializeToString()
    read = emb.StreamEmbedResponse.FromString
    stream: Any = stubs.channel.stream_stream("/glimpse.v1.EmbeddingService/StreamEmbed", None, read)
    results = [one.result for one in stream(iter([config, b"\xff", good]), timeout=60)]
    assert [(one.id, one.status.reason) for one in results] == [("", "MESSAGE_UNPARSABLE"), ("good", "")]
    with refused(Code.INVALID_ARGUMENT, "TOO_LONG", "service"):
        health = health_pb2_grpc.HealthStub(stubs.channel)
        health.Check(health_pb2.HealthCheckRequest(service="x" * 257), timeout=60)


def test_a_replica_that_is_killed_comes_back_and_has_everything(cluster: RayServe, stubs: Stubs) -> None:
    collection = make_collection(stubs)
    revision = enroll(stubs, collection, "robin", 1)
    before = soon(cluster, lambda ongoing: len(ongoing) == 2 and not any(ongoing.values()))
    with Open(stubs, collection, revision) as held:
        assert held.ask(vector(stubs, 1)) == "robin"
        [busy] = [name for name, count in cluster.ongoing().items() if count]
        cluster.kill(busy)
        with pytest.raises(grpc.RpcError) as lost:
            held.ask(vector(stubs, 1))
    assert lost.value.code() is Code.UNAVAILABLE, lost.value.details()
    with Client(cluster.address, timeout=60) as client:
        given = Vector(np.frombuffer(vector(stubs, 2).vector.data, "<f4"), vector(stubs, 2).vector.embedding_space)
        done = client.enroll(collection, [NewExample(given, "wren")], create_labels=True)
    after = soon(cluster, lambda ongoing: len(ongoing) == 2 and busy not in ongoing)
    assert len(after.keys() & before.keys()) == 1
    for number, label in ((1, "robin"), (2, "wren")):
        assert on_each(cluster, stubs, collection, done.revision, vector(stubs, number)) == {label}
    # The new replica took the folder of the killed one.
    assert {folder.name for folder in (cluster.folder / "data" / "replicas").iterdir()} == {"0", "1"}


@QUIET
async def test_a_replica_whose_device_is_lost_is_unhealthy(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glimpse.server.ray.replica import Replica

    monkeypatch.setenv("GLIMPSE_INSECURE", "1")
    monkeypatch.setenv("GLIMPSE_BACKBONE", str(bundle))
    monkeypatch.setenv("GLIMPSE_DATA", str(tmp_path))
    replica = Replica.__new__(Replica)
    await replica.__init__(Options(max_replicas=1))  # type: ignore[misc]
    try:
        await replica.check_health()
        replica.runtime.backbones.watch.report(DeviceLost("the device of backbone tiny is lost"))
        await asyncio.sleep(0)  # lets the loop record it
        with pytest.raises(DeviceLost, match="tiny is lost"):
            await replica.check_health()
    finally:
        closing = replica.__del__()
        assert closing
        await closing


@QUIET
async def test_a_ledger_that_is_away_for_a_moment_costs_no_replica(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glimpse.server.ray.replica import Replica

    with postgres() as database:
        monkeypatch.setenv("GLIMPSE_LEDGER", database.database())
        monkeypatch.setenv("GLIMPSE_BACKBONE", str(bundle))
        monkeypatch.setenv("GLIMPSE_DATA", str(tmp_path))
        patient, hasty = Replica.__new__(Replica), Replica.__new__(Replica)
        await patient.__init__(Options())  # type: ignore[misc]
        await hasty.__init__(Options(ledger_patience_seconds=0))  # type: ignore[misc]
        try:
            await patient.check_health()
            await hasty.check_health()
            database.stop()
            await patient.check_health()
            with pytest.raises(Exception, match="ledger"):
                await hasty.check_health()
        finally:
            for replica in (patient, hasty):
                closing = replica.__del__()
                assert closing
                await closing


class Proxy:
    """Collects the services that are added, as Serve's gRPC server does."""

    def __init__(self) -> None:
        self.rpcs: list[str] = []
        self.service_handler_factory: Any = lambda **_: None

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Does nothing: these are the registered handlers in another form."""

    def add_registered_method_handlers(self, _: str, handlers: dict[str, Any]) -> None:
        self.rpcs += handlers


@QUIET
def test_replicas_have_every_rpc_that_the_proxy_takes() -> None:
    from glimpse.server.ray.proxy import add_to_proxy
    from glimpse.server.ray.replica import Replica

    add_to_proxy(Mock(), proxy := Proxy())
    assert len(proxy.rpcs) > 25
    assert [name for name in proxy.rpcs if not callable(getattr(Replica, name, None))] == []


def test_an_unknown_key_is_refused(cluster: RayServe) -> None:
    with Client(cluster.address, api_key="glimpse_0000_0000") as client, pytest.raises(Unauthenticated) as caught:
        client.server_info()
    assert caught.value.reason


@pytest.fixture(scope="module")
def reach(cluster: RayServe) -> Iterator[Metadata]:
    """Yields the metadata for calls to a deployment that requires keys and scales with the calls."""
    # As serve.yaml's, but soon: Ray's own waits are half a minute and ten.
    scaling = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2}
    scaling |= {"look_back_period_s": 2, "upscale_delay_s": 1, "downscale_delay_s": 2}
    with cluster.beside("scaled", scaling, insecure=0, require_auth=1) as reach:
        yield reach


@pytest.fixture(scope="module")
def key(cluster: RayServe, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_key(tmp_path_factory.mktemp("keys"), "operator", "admin", "--ledger", cluster.ledger)


def test_calls_need_a_key_if_one_is_required(cluster: RayServe, reach: Metadata, key: str) -> None:
    with Client(cluster.address, metadata=reach) as nobody:
        nobody.wait_ready(_SECONDS)  # health needs no key
        with pytest.raises(Unauthenticated) as caught:
            nobody.server_info()
        assert caught.value.reason == "CREDENTIALS_REQUIRED"
        with pytest.raises(Unauthenticated):
            list(nobody.stream_embed(["red"], backbone="tiny"))
    with Client(cluster.address, metadata=reach, api_key=key) as client:
        assert client.server_info().ready


@contextmanager
def calling(count: int, call: Callable[[int, int], None]) -> Iterator[None]:
    """Runs callers that call without a pause until the end of the context, which raises the first error of a call.

    `call` gets the number of the caller and of the call.
    """
    over = threading.Event()

    def go_on(caller: int) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            call(caller, number)

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(go_on, caller) for caller in range(count)]
        try:
            yield
        finally:
            over.set()
            for one in running:
                one.result()


def test_replicas_come_and_go_with_the_calls_and_none_is_lost(cluster: RayServe, reach: Metadata, key: str) -> None:
    with Client(cluster.address, metadata=reach, api_key=key, timeout=60) as client:
        client.wait_ready(_SECONDS)
        client.create_collection("scaled", backbone="tiny")
        space = client.get_backbone("tiny").embedding_space
        enrolled = []

        def enroll_and_ask(_: int, number: int) -> None:
            given = Vector(np.random.default_rng(number).normal(size=8), space)
            done = client.enroll("scaled", [NewExample(given, f"label-{number}")], create_labels=True)
            enrolled.append(f"label-{number}")
            [result] = client.search_examples("scaled", [given], top_k=1, min_revision=done.revision)
            assert result.unwrap()[0].label == enrolled[-1]
            time.sleep(0.1)  # a caller who is no load

        def embed(caller: int, number: int) -> None:
            client.embed([f"{caller} {number}"] * 8, backbone="tiny")[0].unwrap()

        with calling(1, enroll_and_ask):
            soon(cluster, lambda ongoing: len(ongoing) == 1, "scaled")
            with calling(8, embed):
                soon(cluster, lambda ongoing: len(ongoing) == 2 and all(ongoing.values()), "scaled")
            before = len(enrolled)
            soon(cluster, lambda ongoing: len(ongoing) == 1, "scaled")
            assert len(enrolled) > before
        assert {label.id for label in client.list_labels("scaled")} == set(enrolled)


def test_a_file_is_no_ledger_for_several_replicas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GLIMPSE_LEDGER", raising=False)
    monkeypatch.setenv("GLIMPSE_DATA", str(tmp_path))
    with pytest.raises(SettingsError, match="set GLIMPSE_LEDGER to postgresql"):
        settings_of(Options(max_replicas=2))
    assert settings_of(Options(max_replicas=1)).data == tmp_path


@pytest.mark.parametrize("name", ["TLS_CERT", "TLS_CLIENT_CA"])
def test_a_deployment_that_contradicts_its_security_settings_does_not_start(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"GLIMPSE_{name}", "1")
    with pytest.raises(SettingsError, match=f"GLIMPSE_{name} is not supported on Ray"):
        settings_of(Options(max_replicas=1))


def test_an_open_deployment_does_not_start_unless_insecure_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIMPSE_INSECURE")
    with pytest.raises(SettingsError, match="GLIMPSE_REQUIRE_AUTH=1"):
        settings_of(Options(max_replicas=1))
    monkeypatch.setenv("GLIMPSE_REQUIRE_AUTH", "1")
    assert settings_of(Options(max_replicas=1)).require_auth


def exported(file: str) -> dict[str, str]:
    """Returns the variables of the `export` command in a text."""
    [line] = re.findall(r"export (GLIMPSE_LEDGER=.*)$", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    return dict(word.split("=", 1) for word in line.split())


def application(text: str) -> dict[str, Any]:
    """Returns the application of serve.yaml."""
    [found] = yaml.safe_load(text)["applications"]
    return dict(found)


CONFIG = (ROOT / "server/deploy/ray/serve.yaml").read_text("utf-8")
OF_A_CLUSTER = application(re.sub(r"^    # (?=runtime_env:| )", "    ", CONFIG, flags=re.MULTILINE))
DOCUMENTED = {file: exported(file) for file in ("server/deploy/ray/serve.yaml", "docs/ray.md")}
DOCUMENTED["env_vars"] = OF_A_CLUSTER["runtime_env"]["env_vars"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_documented_deployment_starts_and_requires_keys(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("GLIMPSE_INSECURE")
    for variable, value in DOCUMENTED[name].items():
        monkeypatch.setenv(variable, value)
    assert settings_of(Options(**application(CONFIG)["args"])).require_auth


def test_a_replica_has_the_threads_of_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_DECODE_THREADS", "7")
    settings = settings_of(Options(max_replicas=1, cpus=3))
    assert (settings.encode_threads, settings.decode_threads) == (3, 7)
