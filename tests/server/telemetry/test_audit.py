"""The audit log names the caller of every write and of every refused one, and cannot fill the disk."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.client import Client, NewExample
from glimpse.ledger import Ledger, sqlite_url
from glimpse.server.auth.rate_limits import LogRateLimiter
from glimpse.v1 import collection_service_pb2 as collections
from support.keys import make_key, run_keys, until_known
from support.metrics import samples
from support.pictures import picture
from support.raw_calls import bearer, call, collection_requests
from support.server import ServerProcess
from support.status import refused
from support.wait import soon

CODE = grpc.StatusCode
SERVICE = "/glimpse.v1.CollectionService"


class Place:
    """A server that requires keys and writes an audit."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        """Returns the lines of the audit log with these values."""
        lines = [json.loads(line) for line in (self.server.folder / "audit.jsonl").read_text().splitlines()]
        return [one for one in lines if {name: one.get(name) for name in wanted} == wanted]

    def key(self, name: str, scope: str, *options: str) -> str:
        key = make_key(self.server.folder, name, scope, *options)
        until_known(self.server.address, key)
        return key


@pytest.fixture(scope="module")
def place(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("audit")
    settings = {"require_auth": True, "audit_log": folder / "audit.jsonl", "metrics_listen": "127.0.0.1:0"}
    with ServerProcess(folder, bundles[0], **settings) as server:
        place = Place(server)
        with Client(server.address, api_key=place.key("admin", "admin")) as client:
            client.create_collection("birds")
        yield place


def test_a_write_is_audited_with_its_keys_name_as_in_the_ledger(place: Place) -> None:
    with Client(place.server.address, api_key=place.key("curator", "admin")) as client:
        client.create_label("birds", "wren")
        client.enroll("birds", [NewExample(picture(), "wren")])
        [example] = client.list_examples("birds")
        client.delete_example(example.name)
        client.delete_label("birds", "wren")
    rpcs = ["CreateLabel", "EnrollExamples", "DeleteExample", "DeleteLabel"]
    lines = soon(lambda: found if len(found := place.lines(caller="curator")) == len(rpcs) else None)
    assert [one["rpc"].partition("/")[2] for one in lines] == rpcs
    assert {(one["code"], one["reason"], one["collection"]) for one in lines} == {("OK", "", "birds")}
    example_id = example.name.rpartition("/")[2]
    assert [one["subjects"] for one in lines] == [["wren"], [example_id], [example_id], ["wren"]]
    with Ledger.open(sqlite_url(place.server.folder / "data")) as ledger:
        changes = [change for change in ledger.changes() if change.actor == "curator"]
    assert [change.kind for change in changes] == ["create_label", "enroll", "delete_example", "delete_label"]
    assert [change.revision for change in changes] == [one["revision"] for one in lines]


def test_enrolments_that_share_a_transaction_have_each_its_own_keys_name(place: Place) -> None:
    names, several = ["ann", "ben"], 20
    keys = {name: place.key(name, "enroll") for name in names}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(Client(place.server.address, api_key=key)) for name, key in keys.items()}
        senders = stack.enter_context(ThreadPoolExecutor(2 * len(names)))

        def enroll(number: int) -> tuple[int, str]:
            name = names[number % 2]
            example = NewExample(picture((number, 0, 0)), f"of-{name}")
            return clients[name].enroll("birds", [example], create_labels=True).revision, name

        written = dict(senders.map(enroll, range(several)))
    with Ledger.open(sqlite_url(place.server.folder / "data")) as ledger:
        assert {one.revision: one.actor for one in ledger.changes() if one.actor in names} == written
    lines = soon(
        lambda: found if len(found := [*place.lines(caller="ann"), *place.lines(caller="ben")]) == several else None
    )
    assert {one["revision"]: one["caller"] for one in lines} == written


def test_a_write_without_the_needed_scope_is_audited(place: Place) -> None:
    key = place.key("reader", "read")
    for rpc in ("EnrollExamples", "DeleteCollection"):
        with refused(CODE.PERMISSION_DENIED, "SCOPE_REQUIRED"):
            call(place.server.address, f"{SERVICE}/{rpc}", collection_requests("birds")[rpc], bearer(key))
    lines = soon(lambda: found if len(found := place.lines(caller="reader")) == 2 else None)
    assert [one["rpc"].partition("/")[2] for one in lines] == ["EnrollExamples", "DeleteCollection"]
    # A message that was not read has no contents to log.
    for one in lines:
        assert (one["code"], one["reason"]) == ("PERMISSION_DENIED", "SCOPE_REQUIRED")
        assert (one["collection"], one["subjects"], one["revision"]) == ("", [], 0)
        assert one["request_id"]
        assert one["time"]


def test_a_write_to_a_collection_that_is_not_the_keys_names_it(place: Place) -> None:
    key = place.key("of-fish", "admin", "--collection", "fish")
    with refused(CODE.PERMISSION_DENIED, "SCOPE_REQUIRED"):
        request = collection_requests("birds")["DeleteCollection"]
        call(place.server.address, f"{SERVICE}/DeleteCollection", request, bearer(key))
    [line] = soon(lambda: place.lines(caller="of-fish"))
    assert (line["reason"], line["collection"]) == ("SCOPE_REQUIRED", "birds")


def test_writes_over_a_limit_and_by_a_revoked_key_are_audited(place: Place) -> None:
    slow, gone = place.key("slow", "enroll", "--requests-per-second", "0.001"), place.key("gone", "enroll")
    assert run_keys(place.server.folder, "revoke", "gone").returncode == 0
    until_known(place.server.address, gone, known=False)
    request = collections.DeleteLabelRequest(name="collections/birds/labels/none")
    for key, code, reason in (
        (slow, CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
        (gone, CODE.UNAUTHENTICATED, "CREDENTIALS_REVOKED"),
    ):
        with refused(code, reason):
            call(place.server.address, f"{SERVICE}/DeleteLabel", request, bearer(key))
    for name, code, reason in (
        ("slow", CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
        ("gone", CODE.UNAUTHENTICATED, "CREDENTIALS_REVOKED"),
    ):
        [line] = soon(lambda name=name: place.lines(caller=name, rpc="CollectionService/DeleteLabel"))  # type: ignore[misc]
        assert line["reason"] == reason
        pattern = re.compile(rf"DeleteLabel: {code.name} {reason} after .* caller {name} at ")
        soon(lambda pattern=pattern: pattern.search(place.server.log()))  # type: ignore[misc]
    audit = (place.server.folder / "audit.jsonl").read_text()
    for key in (slow, gone):
        assert key.rpartition("_")[2] not in audit


def test_anonymous_calls_are_counted_and_fill_neither_audit_nor_log(place: Place) -> None:
    address, before = place.server.address, len(place.lines())
    method, count = f"{SERVICE}/DeleteCollection", 300
    with grpc.insecure_channel(address) as channel:
        for header in ((), (bearer("glimpse_made-up"),)):
            calls = [channel.unary_unary(method, None, None).future(b"", metadata=header) for _ in range(count // 2)]
            assert {one.code() for one in calls} == {CODE.UNAUTHENTICATED}

    def counted() -> float:
        values = samples(place.server, "glimpse_requests_total")
        return sum(value for (code, _, rpc), value in values.items() if (code, rpc) == ("UNAUTHENTICATED", method[12:]))

    soon(lambda: counted() == count)
    assert len(place.lines()) == before
    assert sum("DeleteCollection: UNAUTHENTICATED" in line for line in place.server.log().splitlines()) < count / 2


def test_repeated_refused_writes_do_not_fill_the_audit_log_and_left_out_lines_are_counted(place: Place) -> None:
    key, count = place.key("eager", "read"), 300
    with grpc.insecure_channel(place.server.address) as channel:
        method = channel.unary_unary(f"{SERVICE}/DeleteCollection", None, None)

        def ask() -> None:
            method.future(b"", metadata=(bearer(key),)).exception()

        asked = [method.future(b"", metadata=(bearer(key),)) for _ in range(count)]
        assert {one.code() for one in asked} == {CODE.PERMISSION_DENIED}
        assert 10 <= len(place.lines(caller="eager")) < count / 2

        def is_logged() -> bool:
            ask()
            return any(one.get("left_out") for one in place.lines(caller="eager"))

        soon(is_logged)


def test_lines_are_limited_per_second_and_count_those_left_out() -> None:
    now = [0.0]
    lines = LogRateLimiter(lambda: now[0])
    assert [lines.next() for _ in range(13)] == [0] * 10 + [None] * 3
    now[0] += 0.1
    assert [lines.next(), lines.next()] == [3, None]
    now[0] += 60
    assert [lines.next() for _ in range(11)] == [1] + [0] * 9 + [None]


@pytest.mark.parametrize("rpc", ["CollectionService/BatchGetExampleContent", "ReviewService/GetReviewContent"])
def test_reads_of_kept_inputs_are_audited_and_refused_ones_too(place: Place, rpc: str) -> None:
    key = place.key(rpc.partition("/")[0].lower(), "enroll")
    request = collection_requests("birds")[rpc.partition("/")[2]]
    with refused(CODE.FAILED_PRECONDITION, "CONTENT_NOT_READABLE"):
        call(place.server.address, f"/glimpse.v1.{rpc}", request, bearer(key))
    [line] = soon(lambda: place.lines(rpc=rpc))
    name = request.names[0].rpartition("/")[2]  # type: ignore[attr-defined]
    assert (line["collection"], line["subjects"], line["code"]) == ("birds", [name], "FAILED_PRECONDITION")
