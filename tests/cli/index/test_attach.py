"""Tests of `glimpse index attach`, `detach` and `compact --collection`, and of commands with an attached index."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import PIPE
from urllib.parse import quote

import grpc
import pytest

from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1.types_pb2 import ItemStatus
from support.server import GLIMPSE, ServerProcess
from support.shapes import LABELS, draw_shapes
from support.wait import soon

from ..conftest import Done, environment, run_glimpse
from ..fake_server import fake_server

Glimpse = Callable[..., Done]


@pytest.fixture(scope="module")
def serving(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Runs a server whose folder has an index of 36 drawings, a link to it, and an index of another backbone."""
    place = tmp_path_factory.mktemp("attach")
    draw_shapes(place / "shapes")
    draw_shapes(place / "scans", count=2, seed=1)
    draw_shapes(place / "hearts", ["yellow heart"], seed=2)
    words = ["index", "build", "shapes", "--labels", "domain/label", "--threads", 1, "--out", "indexes/drawings"]
    assert run_glimpse(words, cwd=place).code == 0
    words = ["index", "build", "shapes", "--backbone", toy_bundle, "--threads", 1, "--out", "indexes/toys"]
    assert run_glimpse(words, cwd=place).code == 0
    (place / "indexes" / "linked").symlink_to("drawings")
    (place / "indexes" / "empty").mkdir()
    with ServerProcess(place, indexes=place / "indexes") as server:
        yield server


@pytest.fixture
def glimpse(serving: ServerProcess) -> Glimpse:
    """Runs `glimpse …` in the folder of the pictures."""
    return lambda *words, **options: run_glimpse(words, serving.address, serving.folder, **options)


@pytest.fixture
def attached(glimpse: Glimpse, request: pytest.FixtureRequest) -> str:
    """Creates a collection with the index of drawings attached."""
    name = f"c-{request.node.name.replace('_', '-')}"[:63]
    assert glimpse("collections", "create", name).code == 0
    done = glimpse("index", "attach", name, "drawings")
    assert done.code == 0, done.err
    return name


def row(name: str) -> str:
    return quote(f"shapes/{name}.png", safe="")


def now(glimpse: Glimpse, collection: str) -> tuple[int, int, str | None]:
    """Returns the numbers of labels and examples, and the index."""
    [found] = glimpse("collections", "show", collection, "--format", "json").objects
    return found["labels"], found["examples"], found["index"]


@pytest.mark.parametrize("given", ["drawings", "indexes/drawings", "./indexes/drawings/", "indexes/linked"])
def test_an_index_is_attached_by_its_name_or_its_folder(glimpse: Glimpse, given: str) -> None:
    collection = f"by-{quote(given, safe='').replace('%2F', '-').replace('.', '')}".lower().rstrip("-")
    assert glimpse("collections", "create", collection).code == 0
    done = glimpse("index", "attach", collection, given)
    assert done.code == 0, done.err
    record = dict(line.split(maxsplit=1) for line in done.out.splitlines() if len(line.split()) > 1)
    assert (record["labels"], record["examples"], record["index"]) == ("3", "36", given.strip("./").rpartition("/")[2])
    assert max(map(len, done.out.splitlines())) <= 80


def test_rows_of_the_index_classify_and_are_the_evidence(glimpse: Glimpse, attached: str) -> None:
    done = glimpse("classify", attached, "scans", "--format", "json")
    assert done.code == 0, done.err
    assert len(done.objects) == 12
    for answer in done.objects:
        assert f"/{answer['label']}/" in answer["input"]
        assert answer["evidence"][0]["example"].startswith(f"collections/{attached}/examples/shapes%2F")
        assert answer["evidence"][0]["label"] == answer["label"]


def test_search_finds_rows_and_filters_by_domain(glimpse: Glimpse, attached: str) -> None:
    scan = "scans/far/green star/0.png"
    [found] = glimpse("search", attached, scan, "--domain", "near", "--top", 20, "--format", "json").objects
    assert len(found["neighbors"]) == 18
    ids = [near["example"].rpartition("/")[2] for near in found["neighbors"]]
    assert all(id_.startswith("shapes%2Fnear%2F") for id_ in ids)
    table = glimpse("search", attached, scan, "--domain", "near", columns=80)
    assert max(map(len, table.out.splitlines())) <= 80


def test_examples_enrolled_later_are_added_to_the_index(glimpse: Glimpse, attached: str) -> None:
    before = glimpse("classify", attached, "hearts/near/yellow heart/5.png", "--format", "json").objects
    assert before[0]["label"] in LABELS
    files = [f"hearts/{domain}/yellow heart/{number}.png" for domain in ("near", "far") for number in range(4)]
    done = glimpse("enroll", attached, *files, "--label", "yellow heart", "--create")
    assert done.code == 0, done.err
    assert now(glimpse, attached) == (4, 44, "drawings")
    [heart, star] = glimpse(
        "classify", attached, "hearts/near/yellow heart/5.png", "scans/near/green star/1.png", "--format", "json"
    ).objects
    assert (heart["label"], star["label"]) == ("yellow heart", "green star")
    listed = glimpse("examples", "list", attached, "--label", "yellow heart", "--format", "json").objects
    assert {one["metadata"]["file"] for one in listed} == set(files)


def test_a_row_is_shown_and_deleted_by_its_name(glimpse: Glimpse, attached: str) -> None:
    mine = row("near/red circle/3")
    [shown] = glimpse("examples", "show", attached, mine, "--format", "json").objects
    assert (shown["label"], shown["domain"]) == ("red circle", "near")
    assert shown["metadata"] == {"file": "shapes/near/red circle/3.png"}
    # Classifications use the full name.
    assert glimpse("examples", "delete", attached, shown["example"]).code == 0
    assert now(glimpse, attached) == (3, 35, "drawings")
    for command in ("show", "delete"):
        done = glimpse("examples", command, attached, mine)
        assert done.code == 1
        assert f"has no example {mine!r}" in done.err
    asked = ["search", attached, "shapes/near/red circle/3.png", "--top", 50, "--format", "json"]
    [found] = glimpse(*asked).objects
    assert len(found["neighbors"]) == 35
    assert shown["example"] not in {near["example"] for near in found["neighbors"]}


def test_a_compacted_collection_has_a_new_index_of_its_rows(
    glimpse: Glimpse, serving: ServerProcess, attached: str
) -> None:
    file = "hearts/near/yellow heart/0.png"
    [enrolled] = glimpse("enroll", attached, file, "--label", "yellow heart", "--create", "--format", "json").objects
    assert glimpse("examples", "delete", attached, row("far/blue square/0")).code == 0
    done = glimpse("index", "compact", "--collection", attached, "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    assert (record["labels"], record["examples"]) == (4, 36)
    assert record["index"] == f"{attached}.c1"
    assert now(glimpse, attached) == (4, 36, f"{attached}.c1")
    made = serving.folder / "indexes" / f"{attached}.c1"
    assert glimpse("index", "verify", made).code == 0
    [found] = glimpse("index", "search", made, file, "--top", 1, "--format", "json").objects
    assert (found["rows"][0]["source"], found["rows"][0]["similarity"]) == (file, pytest.approx(1, abs=1e-3))
    [answer] = glimpse("classify", attached, file, "--format", "json").objects
    assert answer["evidence"][0]["example"] == enrolled["example"]
    assert (serving.folder / "indexes" / "drawings" / "manifest.json").is_file()


def test_interrupted_the_command_says_that_the_compaction_goes_on() -> None:
    words = [*GLIMPSE, "index", "compact", "--collection", "birds"]
    # Tests that run in the background inherit from the shell that SIGINT is ignored.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with (
        fake_server() as fake,
        subprocess.Popen(
            words, stdout=PIPE, stderr=PIPE, text=True, env=environment(fake.address), preexec_fn=heed
        ) as process,
    ):
        try:
            soon(lambda: fake.polls, seconds=60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert "the server goes on compacting birds" in err


def test_polls_that_reach_another_server_are_repeated() -> None:
    with fake_server() as fake:
        fake.misses = 3
        fake.after_polls = pb.Compaction(state=pb.COMPACTION_STATE_DONE, end_time={"seconds": 1})
        done = run_glimpse(("index", "compact", "--collection", "birds"), fake.address)
    assert (done.code, fake.polls) == (0, 4), done.err


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "COMPACTION_FAILED", "the new index cannot be written: No space left"),
        (grpc.StatusCode.INTERNAL, "INTERNAL", "internal error; see the server's log"),
    ],
)
def test_a_compaction_that_failed_is_an_error(code: grpc.StatusCode, reason: str, message: str) -> None:
    with fake_server() as fake:
        failure = ItemStatus(code=code.value[0], reason=reason, message=message)
        fake.compaction = pb.Compaction(state=pb.COMPACTION_STATE_FAILED, failure=failure, end_time={"seconds": 1})
        done = run_glimpse(("index", "compact", "--collection", "birds"), fake.address)
    assert (done.code, done.out, done.err) == (1, "", f"glimpse: {message}\n")


def test_a_detached_collection_keeps_enrolled_examples(glimpse: Glimpse, attached: str) -> None:
    assert glimpse("enroll", attached, "scans/far/red circle", "--label", "red circle").code == 0
    done = glimpse("index", "detach", attached)
    assert done.code == 0, done.err
    assert now(glimpse, attached) == (3, 2, None)
    [answer] = glimpse("classify", attached, "scans/near/green star/0.png", "--format", "json").objects
    assert answer["label"] == "red circle"  # the only label left
    again = glimpse("index", "attach", attached, "drawings")
    assert again.code == 0, again.err
    assert now(glimpse, attached) == (3, 38, "drawings")


@pytest.mark.parametrize(
    ("words", "record"),
    [
        (["attach", "on-it", "nowhere"], ["copy its folder there", "`glimpse serve --indexes`"]),
        (["attach", "on-it", "elsewhere/shapes"], ["no index 'shapes'", "`glimpse serve --indexes`"]),
        (["attach", "on-it", "linked"], ["has index 'drawings'", "glimpse index detach COLLECTION"]),
        (["attach", "without", "toys"], ["index 'toys' is in toy's embedding space", "the collection's backbone"]),
        (["attach", "without", "empty"], ["index 'empty': its folder: is not an index: it has no manifest.json"]),
        (["attach", "without", "a b"], ["'a b' is invalid: use 1 to 128 letters, digits"]),
        (["attach", "unheard-of", "drawings"], ["glimpse collections create"]),
        (["detach", "without"], ["has no index", "glimpse index attach COLLECTION INDEX"]),
        (["compact", "--collection", "without"], ["has no index", "glimpse index attach COLLECTION INDEX"]),
    ],
)
def test_an_impossible_request_is_one_line_that_says_what_to_do(
    glimpse: Glimpse, with_and_without: None, words: list[str], record: list[str]
) -> None:
    done = glimpse("index", *words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("glimpse: ")
    assert all(part in done.err for part in record), done.err
    assert done.err.count("\n") == 1


@pytest.fixture(scope="module")
def with_and_without(serving: ServerProcess) -> None:
    """Creates two collections, one with an attached index."""
    for words in (["collections", "create", "on-it"], ["collections", "create", "without"]):
        assert run_glimpse(words, serving.address).code == 0
    assert run_glimpse(["index", "attach", "on-it", "drawings"], serving.address).code == 0


@pytest.mark.parametrize(
    ("count", "record"), [(0, ""), (7, "7 of the index's 1,200"), (1_200, "all of the index's 1,200")]
)
def test_an_index_without_labels_is_reported(count: int, record: str) -> None:
    with fake_server() as fake:
        fake.unlabeled = count
        done = run_glimpse(("index", "attach", "birds", "drawings"), fake.address)
    assert done.code == 0, done.err
    assert done.err.startswith(record)
    assert bool(done.err) == bool(record)
    assert ("--labels" in done.err) == bool(record)
