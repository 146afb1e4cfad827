"""A call needs a key with the scope of the rpc for its collection."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from glimpse.client import Client, NewExample, PermissionDenied, Unauthenticated, Vector
from glimpse.server.auth.scopes import NEEDS, Scope
from glimpse.v1 import collection_service_pb2 as collections
from glimpse.v1 import embedding_service_pb2 as embedding
from support.http_calls import TRANSPORTS
from support.keys import listed_keys, make_key, run_keys, until_known
from support.raw_calls import METHODS, bearer, call, call_over, collection_requests
from support.server import ServerProcess
from support.status import refused

CODE = grpc.StatusCode
STREAMS = 20
LIST = "/glimpse.v1.EmbeddingService/ListBackbones"


@dataclass
class Place:
    """A server that requires keys, with a key for each scope, for every collection and for `birds` alone."""

    server: ServerProcess
    keys: dict[Scope, str]
    of_birds: dict[Scope, str]

    def client(self, key: str) -> Client:
        return Client(self.server.address, api_key=key)


@pytest.fixture(scope="module")
def place(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("access")
    everywhere = {scope: make_key(folder, f"{scope}-all", str(scope)) for scope in Scope}
    of_birds = {scope: make_key(folder, f"{scope}-birds", str(scope), "--collection", "bir*") for scope in Scope}
    with ServerProcess(folder, bundles[0], require_auth=True, http="127.0.0.1:0") as server:
        with Client(server.address, api_key=everywhere[Scope.ADMIN]) as client:
            for name in ("birds", "fish"):
                client.create_collection(name)
                space = client.get_collection(name).embedding_space
                dimension = client.get_backbone("tiny").dimension
                vectors = np.eye(dimension, dtype=np.float32)[:3]
                examples = [NewExample(Vector(one, space), f"l{i}") for i, one in enumerate(vectors)]
                client.enroll(name, examples, create_labels=True)
        yield Place(server, everywhere, of_birds)


def test_every_rpc_has_its_scope() -> None:
    reflection = {path for path in NEEDS if path.startswith("/grpc.reflection.")}
    assert NEEDS.keys() - reflection == METHODS.keys()


over_both = pytest.mark.parametrize("transport", TRANSPORTS)


def streams(method: str) -> bool:
    """Returns whether a method is a stream, which HTTP refuses after it has checked the caller."""
    return method not in METHODS or METHODS[method].client_streaming


@over_both
@pytest.mark.parametrize("method", sorted(NEEDS))
def test_without_a_key_no_rpc_is_answered(place: Place, transport: str, method: str) -> None:
    with refused(CODE.UNAUTHENTICATED, "CREDENTIALS_REQUIRED"):
        call_over(transport, place.server, method, None)


@over_both
@pytest.mark.parametrize("method", sorted(name for name, need in NEEDS.items() if need.scope > Scope.READ))
def test_a_lesser_scope_is_not_enough_for_any_rpc(place: Place, transport: str, method: str) -> None:
    need = NEEDS[method].scope
    with refused(CODE.PERMISSION_DENIED, "SCOPE_REQUIRED") as found:
        call_over(transport, place.server, method, None, bearer(place.keys[Scope(need - 1)]))
    assert f"scope {need}" in found.message


@over_both
@pytest.mark.parametrize("method", sorted(NEEDS))
def test_the_scope_an_rpc_needs_is_enough_for_it(place: Place, transport: str, method: str) -> None:
    code = None
    try:
        call_over(transport, place.server, method, None, bearer(place.keys[NEEDS[method].scope]))
    except grpc.RpcError as error:  # an empty request is invalid for most rpcs
        code = error.code()
    if transport == "http" and streams(method):
        assert code is CODE.UNIMPLEMENTED
    else:
        assert code in (None, CODE.INVALID_ARGUMENT, CODE.NOT_FOUND)


OF_NO_COLLECTION = {
    "ListCollections",
    "ListReembeddings",
    "ClassifyZeroShot",
    "Embed",
    "StreamEmbed",
    "ListBackbones",
    "GetBackbone",
    "GetServerInfo",
    "GetCaller",
}


@over_both
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_key_for_one_collection_does_nothing_to_another(place: Place, transport: str, method: str) -> None:
    rpc = method.rpartition("/")[2]
    if rpc in OF_NO_COLLECTION or (transport == "http" and streams(method)):
        return
    key = place.of_birds[Scope.ADMIN]
    # The refusal does not reveal whether the collection exists.
    for other in ("fish", "nowhere"):
        with refused(CODE.PERMISSION_DENIED, "SCOPE_REQUIRED") as found:
            call_over(transport, place.server, method, collection_requests(other)[rpc], bearer(key))
        assert "admin-birds" in found.message


def test_several_collections_in_one_call_all_have_to_be_the_keys(place: Place) -> None:
    with place.client(place.of_birds[Scope.CLASSIFY]) as client:
        assert client.classify("birds", ["a"])[0].unwrap()
        with pytest.raises(PermissionDenied, match="'fish'") as caught:
            client.classify(["birds", "fish"], ["a"])
        assert caught.value.field == "collections[1]"
        assert [one.unwrap().label for one in client.stream_classify("birds", ["a", "b"])]
        with pytest.raises(PermissionDenied):
            list(client.stream_classify(["fish"], ["a"]))


@over_both
def test_to_measure_a_migration_takes_more_than_to_see_it(place: Place, transport: str) -> None:
    method = "/glimpse.v1.CollectionService/GetReembedding"
    request = collections.GetReembeddingRequest(collection="collections/birds")
    with refused(CODE.NOT_FOUND, "REEMBEDDING_NOT_FOUND"):
        call_over(transport, place.server, method, request, bearer(place.keys[Scope.READ]))
    request.measure = True
    with refused(CODE.PERMISSION_DENIED, "SCOPE_REQUIRED", "measure") as found:
        call_over(transport, place.server, method, request, bearer(place.keys[Scope.ENROLL]))
    assert "scope admin" in found.message
    with refused(CODE.NOT_FOUND, "REEMBEDDING_NOT_FOUND"):
        call_over(transport, place.server, method, request, bearer(place.of_birds[Scope.ADMIN]))


def test_server_info_hides_collections_that_the_caller_may_not_read(place: Place) -> None:
    with place.client(place.keys[Scope.CLASSIFY]) as client:
        client.classify("fish", ["a"] * 3)
        client.classify("birds", ["a"])
        everything = client.server_info()
    with place.client(place.of_birds[Scope.READ]) as client:
        of_birds = client.server_info()
    assert (everything.collection_count, of_birds.collection_count) == (2, 1)
    assert sum(everything.decisions.values()) - sum(of_birds.decisions.values()) >= 3
    assert sum(of_birds.decisions.values()) >= 1
    assert {"collections/birds", "collections/fish"} <= {one.name for one in everything.collections}
    assert [one.name for one in of_birds.collections] == ["collections/birds"]


def test_server_info_has_the_limits_of_the_callers_key(place: Place) -> None:
    limits = ("--requests-per-second", "50", "--bytes-per-second", "1000")
    key = make_key(place.server.folder, "bounded", "read", *limits)
    until_known(place.server.address, key)
    with place.client(key) as client:
        assert client.server_info().caller_limits == {"requests_per_second": 50, "bytes_per_second": 1000}
    with place.client(place.keys[Scope.READ]) as client:
        assert client.server_info().caller_limits == {}


def test_server_info_is_limited_like_every_call(place: Place, tmp_path: Path) -> None:
    method, content = "/glimpse.v1.ServerService/GetServerInfo", b"\x7a\x80\x80\x80\x10" + bytes(32 << 20)
    with grpc.insecure_channel(place.server.address) as channel, refused(CODE.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"):
        channel.unary_unary(method, None, None)(content, timeout=30, metadata=(bearer(place.keys[Scope.READ]),))
    key = make_key(place.server.folder, "frugal", "read", "--bytes-per-second", "0.01")
    until_known(place.server.address, key)
    with grpc.insecure_channel(place.server.address) as channel:
        ask = channel.unary_unary(method, None, None)
        with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED"):
            for _ in range(3):  # the calls of until_known are empty, so they cost nothing
                ask(b"\x78\x01", timeout=30, metadata=(bearer(key),))


def test_a_list_shows_only_readable_collections(place: Place) -> None:
    for keys, seen in ((place.keys, {"birds", "fish"}), (place.of_birds, {"birds"})):
        with place.client(keys[Scope.READ]) as client:
            assert {one.id for one in client.list_collections()} == seen


def test_a_key_for_a_pattern_creates_matching_collections(place: Place) -> None:
    with place.client(place.of_birds[Scope.ADMIN]) as client:
        client.create_collection("birds-too")
        client.delete_collection("birds-too")
        with pytest.raises(PermissionDenied):
            client.create_collection("cats")


def test_probes_need_no_key(place: Place) -> None:
    with grpc.insecure_channel(place.server.address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def described(address: str, *metadata: tuple[str, str]) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answer = next(stub.ServerReflectionInfo(asked, timeout=10, metadata=metadata))
    return [one.name for one in answer.list_services_response.service]


def test_reflection_answers_callers_with_the_scope_read(place: Place) -> None:
    assert "glimpse.v1.ClassificationService" in described(place.server.address, bearer(place.keys[Scope.READ]))


async def test_reflections_messages_and_streams_count_like_those_of_any_call(place: Place) -> None:
    address, reader = place.server.address, bearer(place.keys[Scope.READ])
    key = make_key(place.server.folder, "curious", "read", "--bytes-per-second", "0.01")
    until_known(address, key)
    with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED"):
        for _ in range(3):
            described(address, bearer(key))
    method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    async with grpc.aio.insecure_channel(address) as channel:

        async def stream(request: bytes) -> Any:
            """Yields the messages of a stream that is answered and stays open."""
            call: Any = channel.stream_stream(method, None, None)
            opened = call(metadata=(reader,), timeout=60)
            await opened.write(request)
            assert await opened.read()
            return opened

        with refused(CODE.INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"):
            await stream(b"\xff")
        good = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        # One that is quiet is ended for others, as what it has begun to send is not seen.
        streams = [await stream(good) for _ in range(STREAMS)]
        open_ones = [one for one in streams if not one.done()]
        assert 1 <= len(open_ones) <= STREAMS
        for one in open_ones:
            one.cancel()


def test_reflection_can_be_switched_off(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0], reflection=False) as server:
        with pytest.raises(grpc.RpcError) as caught:
            described(server.address)
        assert caught.value.code() is CODE.UNIMPLEMENTED
        for version in ("v1", "v1alpha"):
            method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
            with pytest.raises(grpc.RpcError) as caught:
                call(server.address, method, None)
            assert caught.value.code() is CODE.UNIMPLEMENTED


def altered(key: str) -> str:
    """Returns a key with another last digit of the secret."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


@over_both
def test_an_invalid_key_is_refused_and_never_repeated(place: Place, transport: str) -> None:
    good = place.keys[Scope.READ]
    bad = [
        altered(good),
        good[:-1],
        good + "0",
        good.upper(),
        "glimpse_" + "0" * 16 + good[-65:],
        "glimpse_",
        "glimpse__",
        "eyJhbGciOiJub25lIn0.e30.",
        "' OR 1=1 --",
        "",
    ]
    for one in bad:
        for header in (bearer(one), ("x-api-key", one)):
            with refused(CODE.UNAUTHENTICATED, "CREDENTIALS_INVALID") as found:
                call_over(transport, place.server, LIST, None, header)
            assert not one or one not in found.message
    for scheme in ("Basic", "Token"):
        with refused(CODE.UNAUTHENTICATED, "CREDENTIALS_INVALID"):
            header = ("authorization", f"{scheme} {good}")
            call_over(transport, place.server, LIST, None, header)


@over_both
def test_a_key_may_be_in_either_header(place: Place, transport: str) -> None:
    key = place.keys[Scope.READ]
    for header in (bearer(key), ("authorization", f"bearer {key}"), ("x-api-key", key)):
        assert call_over(transport, place.server, LIST, None, header)


@over_both
def test_an_unknown_rpc_reveals_nothing_to_anonymous_callers(place: Place, transport: str) -> None:
    method = "/glimpse.v1.CollectionService/NoSuchThing"
    with refused(CODE.UNAUTHENTICATED, "CREDENTIALS_REQUIRED"):
        call_over(transport, place.server, method, None)
    with pytest.raises(grpc.RpcError) as caught:
        call_over(transport, place.server, method, None, bearer(place.keys[Scope.ADMIN]))
    assert caught.value.code() is CODE.UNIMPLEMENTED


def test_a_key_lives_and_ends_while_the_server_runs(place: Place) -> None:
    folder, address = place.server.folder, place.server.address
    key = make_key(folder, "visitor", "classify", "--collection", "birds", "--expires", "1h")
    until_known(address, key)
    with place.client(key) as client:
        answers = client.stream_classify("birds", (f"text {i}" for i in range(10**6)), window=1)
        assert next(answers).unwrap()
        assert run_keys(folder, "revoke", "visitor").returncode == 0
        error = until_known(address, key, known=False)
        assert isinstance(error, Unauthenticated)
        assert error.reason == "CREDENTIALS_REVOKED"
        # A stream that is open ends to be answered too: each later input is refused.
        late = next(one for one in answers if one.error)
        assert late.error is not None
        assert late.error.reason == "CREDENTIALS_REVOKED"
        answers.close()
    [row] = [one for one in listed_keys(folder) if one["name"] == "visitor"]
    assert row["state"] == "revoked"
    again = run_keys(folder, "create", "visitor", "--scope", "read")
    assert again.returncode == 1
    assert "visitor" in again.stderr


def test_a_key_that_has_expired_is_refused(place: Place) -> None:
    folder = place.server.folder
    key = make_key(folder, "brief", "read", "--expires", "1h")
    until_known(place.server.address, key)
    with sqlite3.connect(folder / "data" / "ledger.sqlite") as database:
        database.execute("UPDATE api_keys SET expire_time = 1 WHERE name = 'brief'")
    database.close()
    make_key(folder, "other", "read")  # so that the keys are read again
    error = until_known(place.server.address, key, known=False)
    assert error is not None
    assert error.reason == "CREDENTIALS_EXPIRED"
    [row] = [one for one in listed_keys(folder) if one["name"] == "brief"]
    assert row["state"] == "expired"


def test_nothing_of_a_key_is_kept_or_logged(place: Place) -> None:
    folder = place.server.folder
    stored = b"".join(file.read_bytes() for file in (folder / "data").glob("ledger.sqlite*"))
    log = place.server.log().encode()
    keys = [*place.keys.values(), *place.of_birds.values()]
    for key in [*keys, altered(keys[0])]:
        secret = key.rpartition("_")[2].encode()
        assert secret not in stored
        assert bytes.fromhex(secret.decode()) not in stored
        assert secret not in log
    listed = run_keys(folder, "list", "--format", "json").stdout
    assert not any(key.rpartition("_")[2] in listed for key in keys)


def test_by_default_loopback_needs_no_key_but_refuses_a_bad_one(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        with Client(server.address) as client:
            client.create_collection("open")
        with Client(server.address, api_key="glimpse_nonsense") as client, pytest.raises(Unauthenticated):
            client.create_collection("closed")
        key = make_key(tmp_path, "reader", "read")
        until_known(server.address, key)
        with Client(server.address, api_key=key) as client, pytest.raises(PermissionDenied, match="reader"):
            client.delete_collection("open")


def test_calls_over_a_keys_limit_pass_after_the_retry_delay(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    slow = make_key(tmp_path, "slow", "classify", "--requests-per-second", "0.01")
    few = make_key(tmp_path, "few", "classify", "--inputs-per-second", "2")
    small = make_key(tmp_path, "small", "classify", "--bytes-per-second", "1")
    method = "/glimpse.v1.EmbeddingService/Embed"
    one = embedding.EmbedRequest(inputs=[{"text": "a"}])
    many = embedding.EmbedRequest(inputs=[{"text": "a"}] * 200)
    with ServerProcess(tmp_path, bundles[0], require_auth=True, key_requests_per_second=1_000) as server:
        for key, request, least, most in ((slow, one, 50, 100), (few, many, 90, 100), (small, one, 1, 10)):
            call(server.address, method, request, bearer(key))
            with refused(CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED") as found:
                call(server.address, method, request, bearer(key))
            assert found.retry_delay is not None
            assert least <= found.retry_delay <= most
            assert " per second" in found.message


def test_a_stream_counts_its_inputs_one_by_one_and_the_client_waits(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    key = make_key(tmp_path, "few", "classify", "--inputs-per-second", "5")
    with ServerProcess(tmp_path, bundles[0], require_auth=True) as server:
        requests: list[Any] = [embedding.StreamEmbedRequest()]
        requests[0].config.SetInParent()
        requests += [embedding.StreamEmbedRequest(input={"id": str(i), "text": "a"}) for i in range(30)]
        with grpc.insecure_channel(server.address) as channel:
            stream = channel.stream_stream(
                "/glimpse.v1.EmbeddingService/StreamEmbed",
                request_serializer=embedding.StreamEmbedRequest.SerializeToString,
                response_deserializer=embedding.StreamEmbedResponse.FromString,
            )
            results = [one.result for one in stream(iter(requests), timeout=30, metadata=(bearer(key),))]
        assert [one.id for one in results] == [str(i) for i in range(30)]
        over = [one for one in results if one.status.code]
        assert {one.status.reason for one in over} == {"RATE_LIMITED"}
        assert all(0 < one.status.retry_delay_ms <= 200 for one in over)
        assert 5 <= len(results) - len(over) < 30
        with Client(server.address, api_key=key) as client:
            assert len([one.unwrap() for one in client.stream_embed(["a"] * 8)]) == 8


def test_a_caller_learns_its_name_and_its_scopes(place: Place) -> None:
    for scope in Scope:
        with place.client(place.keys[scope]) as client:
            caller = client.get_caller()
        assert (caller.name, int(caller.scope), dict(caller.collections)) == (f"{scope}-all", int(scope), {})
        with place.client(place.of_birds[scope]) as client:
            caller = client.get_caller()
        assert (caller.name, int(caller.scope)) == (f"{scope}-birds", 0)
        assert {name: int(own) for name, own in caller.collections.items()} == {"collections/birds": int(scope)}
        assert (int(caller.scope_of("birds")), int(caller.scope_of("fish"))) == (int(scope), 0)
    with place.client("") as client, pytest.raises(Unauthenticated):
        client.get_caller()
