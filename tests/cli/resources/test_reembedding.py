"""Tests of `glimpse collections re-embed`, on a real server with two backbones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.cli.demo.server import own_server
from support.bundles import tiny_dual_bundle
from support.keys import make_key
from support.pictures import picture
from support.server import ServerProcess

from ..conftest import Done, Run, run_glimpse


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("reembed")
    tiny_dual_bundle(folder / "old", "old")
    tiny_dual_bundle(folder / "new", "new", dimension=12, seed=3)
    with own_server(folder, [folder / "old", folder / "new"]) as address:
        yield address


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    for number in range(12):
        folder = tmp_path / "colours" / ("red", "green", "blue")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        colour = tuple(200 + number if one == number % 3 else 20 * number for one in range(3))
        (folder / f"{number}.png").write_bytes(picture(colour))
    return tmp_path / "colours"


def test_a_collection_switches_to_another_backbone_and_back(ask: Run, server: str, colours: Path) -> None:
    def run(*words: str) -> str:
        done = ask(*words, "--server", server)
        assert done.code == 0, done.err
        return done.out + done.err

    run("collections", "create", "c", "--backbone", "old", "--keep-inputs", "--match-threshold", "0.25")
    run("enroll", "c", str(colours), "--create")
    reembed = ("collections", "re-embed")
    started = run(*reembed, "start", "c", "--to", "new", "--wait")
    assert "12 of 12 examples embedded" in started
    assert "next, compare both backbones: glimpse collections re-embed status c\n" in started
    record = run(*reembed, "status", "c")
    rows = {line.split("  ")[0]: line.split() for line in record.splitlines()}
    assert rows["backbone"] == ["backbone", "old", "new"]
    assert rows["leave-one-out accuracy"][-1] == rows["leave-one-out accuracy"][-3] == "%"
    assert "match_threshold 0.25" in run(*reembed, "switch", "c")
    assert "new" in run("collections", "show", "c")
    [state] = ask(*reembed, "status", "c", "--no-measure", "--server", server, "--format", "json").objects
    assert (state["switched"], state["shadow"]["backbone"], state["left_count"]) == (True, "backbones/old", 0)
    [listed] = ask("collections", "reembeddings", "--server", server, "--format", "json").objects
    assert (listed["collection"], listed["backbone"], listed["other"]) == ("c", "new", "old")
    assert (listed["embedded"], listed["left"], listed["switched"]) == (12, 0, True)
    run(*reembed, "rollback", "c")
    run(*reembed, "rollback", "c")
    [shown] = ask("collections", "show", "c", "--server", server, "--format", "json").objects
    assert (shown["backbone"], shown["match_threshold"], shown["keep_inputs"]) == ("old", 0.25, True)
    assert "deleted the vectors of new; c uses old" in run(*reembed, "end", "c")
    done = ask(*reembed, "status", "c", "--server", server)
    assert (done.code, "start" in done.err) == (1, True)


def test_a_key_without_admin_scope_sees_progress_without_accuracy(tmp_path: Path) -> None:
    for name, seed in (("old", 0), ("new", 3)):
        tiny_dual_bundle(tmp_path / name, name, seed=seed)
    admin, reader = (make_key(tmp_path, scope, scope) for scope in ("admin", "read"))
    with ServerProcess(tmp_path, tmp_path / "old", tmp_path / "new", require_auth=True) as started:

        def run(key: str, *words: str) -> Done:
            return run_glimpse(words, started.address, variables={"GLIMPSE_API_KEY": key})

        assert run(admin, "collections", "create", "c", "--backbone", "old", "--keep-inputs").code == 0
        assert run(admin, "enroll", "c", "--text", "one", "--label", "one", "--create").code == 0
        assert run(admin, "collections", "re-embed", "start", "c", "--to", "new", "--wait").code == 0
        record = run(reader, "collections", "re-embed", "status", "c")
        assert record.code == 0, record.err
        assert "1 of 1 examples embedded" in record.out
        assert record.err == "accuracy not measured: this needs an admin key\n"
        assert "not measured" not in run(admin, "collections", "re-embed", "status", "c").err


def test_examples_that_cannot_be_embedded_are_reported_and_need_force(ask: Run, server: str, colours: Path) -> None:
    ask("collections", "create", "d", "--backbone", "old", "--server", server)
    ask("enroll", "d", str(colours / "red"), "--label", "red", "--create", "--server", server)
    assert ask("collections", "update", "d", "--keep-inputs", "--server", server).code == 0
    ask("enroll", "d", str(colours / "green"), "--label", "green", "--create", "--server", server)
    record = ask("collections", "re-embed", "start", "d", "--to", "new", "--wait", "--server", server)
    assert "ORIGINAL_NOT_KEPT: enroll it again\n" in record.out, "a table of 80 columns has room for it"
    refused = ask("collections", "re-embed", "switch", "d", "--server", server)
    assert (refused.code, "4 examples cannot be embedded; add --force" in refused.err) == (1, True)
    done = ask("collections", "re-embed", "switch", "d", "--force", "--server", server)
    assert (done.code, "4 examples are left out" in done.err) == (0, True)
    done = ask("collections", "re-embed", "end", "d", "--server", server)
    assert (done.code, "deleted 4 examples that new could not embed" in done.err) == (0, True)


def test_an_error_names_the_command_that_helps(ask: Run, server: str) -> None:
    ask("collections", "create", "e", "--backbone", "old", "--server", server)
    for words, step in (
        (("switch", "e"), "re-embed start COLLECTION --to BACKBONE"),
        (("start", "e", "--to", "new"), "collections update COLLECTION --keep-inputs"),
    ):
        done = ask("collections", "re-embed", *words, "--server", server)
        assert (done.code, step in done.err) == (1, True)
