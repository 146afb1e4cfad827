"""Tests of `glimpse ledger`."""

import os
import pty
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from glimpse.ledger import CollectionRecord, LabelRecord, ReviewBatch
from support import review
from support.full_ledger import example, fill
from support.ledgers import Direct
from support.server import GLIMPSE

from ..conftest import Done, run_glimpse

Glimpse = Callable[..., Done]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a ledger in `data`."""
    place = tmp_path_factory.mktemp("ledger")
    with Direct.of(place / "data") as ledger:
        fill(ledger)
    return place


@pytest.fixture
def glimpse(folder: Path) -> Glimpse:
    return lambda *words: run_glimpse(("ledger", *words), cwd=folder)


def test_a_backup_is_reported_and_restored(glimpse: Glimpse, folder: Path) -> None:
    [record] = glimpse("backup", "saved", "--data", "data", "--format", "json").objects
    assert record["file"] == "saved"
    assert record["bytes"] == (folder / "saved").stat().st_size
    assert record["rows"]["examples"] == 25
    assert record["needs"]["backbones"][0] == {"name": "backbones/a", "embedding_space": "sha256:a"}
    assert [one["name"] for one in record["needs"]["indexes"]] == ["folded"]
    done = glimpse("restore", "saved", "--data", "new")
    assert done.code == 0, done.err
    assert re.search(rf"^revision +{record['revision']}$", done.out, re.MULTILINE)
    assert "needs index folded" in done.out
    assert "\nverified " in done.out
    whole = f"no problem found at revision {record['revision']}, digest {record['digest']}\n"
    assert glimpse("verify", "--ledger", f"sqlite:///{folder}/new/ledger.sqlite").out == whole
    again = glimpse("restore", "saved", "--data", "new")
    assert (again.code, again.out) == (1, "")
    assert "is not empty" in again.err
    assert len(again.err.splitlines()) == 1


def test_kept_queries_are_copied_on_request_alone(tmp_path: Path) -> None:
    with Direct.of(tmp_path / "data") as ledger:
        ledger.create_collection(review.collection())
        ledger.review.add([ReviewBatch("birds", [review.item("a", b"aa")], review.parts("a", b"aa"))])
    for command, target in (("backup", "saved"), ("export", "parquet")):
        without = run_glimpse(("ledger", command, target, "--data", "data"), cwd=tmp_path)
        assert "1 review item left out; --review includes them" in without.err
        copied = run_glimpse(("ledger", command, f"{target}-all", "--data", "data", "--review"), cwd=tmp_path)
        assert "left out" not in copied.err
        assert re.search(r"^review_items +1$", copied.out, re.MULTILINE)


def test_an_export_is_reported_and_imported(glimpse: Glimpse, folder: Path) -> None:
    [record] = glimpse("export", "out", "--data", "data", "--format", "json").objects
    assert (record["folder"], record["rows"]["labels"]) == ("out", 12)
    done = glimpse("import", "out", "--data", "imported")
    assert done.code == 0, done.err
    logs = [glimpse("log", "--data", name, "--format", "json").out for name in ("data", "imported")]
    assert logs[0] == logs[1]
    assert glimpse("export", "out", "--data", "data").code == 1


def test_an_export_says_that_keys_are_left_out_and_how_to_include_them(glimpse: Glimpse, folder: Path) -> None:
    def listed(data: str) -> str:
        return run_glimpse(("keys", "list", "--data", data), cwd=folder).out

    for form in ((), ("--format", "json")):
        name = f"keyless{len(form)}"
        left = glimpse("export", name, "--data", "data", *form).err
        assert left == "2 API keys left out; --keys includes them, as salted hashes\n"
        record = glimpse("import", name, "--data", f"{name}-in", *form).err
        assert "the export has none" in record
        assert "phone" not in listed(f"{name}-in")
    assert glimpse("export", "keyed", "--keys", "--data", "data").err == ""
    assert glimpse("import", "keyed", "--data", "keyed-in").err == ""
    assert listed("keyed-in") == listed("data")
    assert "phone" in listed("data")


def test_tables_show_nonempty_row_counts_and_json_shows_all(tmp_path: Path) -> None:
    with Direct.of(tmp_path / "data") as ledger:
        ledger.create_collection(CollectionRecord("birds", "backbones/a", "sha256:a", 8))
        ledger.enroll("birds", [LabelRecord("robin")], [example(1, "robin")])
    for words in (("backup", "b"), ("restore", "b", "--data", "r"), ("export", "e"), ("import", "e", "--data", "i")):
        data = () if "--data" in words else ("--data", "data")
        out = run_glimpse(("ledger", *words, *data), cwd=tmp_path).out
        record = dict(line.split(None, 1) for line in out.splitlines() if not line.startswith("needs"))
        rows = [name for name, value in record.items() if name != "revision" and value.isdigit()]
        assert [name for name in rows if name != "bytes"] == ["collections", "labels", "examples", "changes"]
        assert ("verified" in record) is (words[0] != "export")
    [exported] = run_glimpse(("ledger", "export", "f", "--data", "data", "--format", "json"), cwd=tmp_path).objects
    assert exported["rows"]["tombstones"] == 0
    assert exported["rows"]["head"] == 1


def test_on_a_terminal_bars_disappear_and_empty_tables_have_none(folder: Path, tmp_path: Path) -> None:
    with Direct.of(tmp_path / "data") as ledger:
        ledger.create_collection(CollectionRecord("birds", "backbones/a", "sha256:a", 8))
    raw = terminal_output(("backup", "b", "--data", "data"), tmp_path, 80)
    assert "copying collections" in raw
    assert "copying tombstones" not in raw
    shown = screen(raw)
    assert shown[0].startswith("file ")
    assert "copying" not in "".join(shown)


def test_problems_are_printed_with_advice(glimpse: Glimpse, folder: Path) -> None:
    assert glimpse("backup", "damaged", "--data", "data").code == 0
    with sqlite3.connect(folder / "damaged") as connection:
        connection.execute("DELETE FROM examples WHERE id IN ('e1', 'e2')")
    connection.close()
    url = f"sqlite:///{folder}/damaged"
    done = glimpse("verify", "--ledger", url)
    assert done.code == 1
    assert done.out.splitlines()[0] == "missing: 2"
    assert "  → enroll the example again" in done.out
    *faults, last = glimpse("verify", "--ledger", url, "--format", "json").objects
    assert [fault["kind"] for fault in faults] == ["missing", "missing"]
    assert last["faults"] == {"missing": 2}
    assert len(last["head"]["digest"]) == 64


def test_the_log_lists_every_change(glimpse: Glimpse) -> None:
    lines = glimpse("log", "--data", "data", "--format", "json").objects
    assert [line["revision"] for line in lines] == list(range(1, len(lines) + 1))
    record = {line["revision"]: line["what"] for line in lines}
    assert record[2] == "5 examples under robin; new labels robin, wren"
    assert "2 examples under a, b; new labels a, b".replace("a, b;", "a (1), b (1);") in record.values()
    assert {"index built, with 2 new labels", "row 3", "example e3"} <= set(record.values())
    assert "label also, with 4 rows of the index" in record.values()
    some = glimpse("log", "--data", "data", "--collection", "small", "--after", 20, "--format", "json").objects
    assert some == [line for line in lines if line["collection"] == "small" and line["revision"] > 20]
    assert some
    first = glimpse("log", "--data", "data").out.splitlines()[1]
    assert re.match(r" +1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  create_collection  birds", first)


def test_nothing_of_the_log_is_cut(glimpse: Glimpse, folder: Path) -> None:
    record = glimpse("log", "--data", "data", "--format", "json").objects
    head, *rows = glimpse("log", "--data", "data").out.splitlines()
    assert re.fullmatch(r"REVISION  TIME \(UTC\) +KIND +COLLECTION +WHO +WHAT", head)
    assert len(rows) == len(record)
    for row, change in zip(rows, record, strict=True):
        for cell in (change["kind"], change["collection"] or "-", change["who"] or "-", change["what"]):
            assert cell in row
    starts = [match.start() for match in re.finditer(r"\S+( \(UTC\))?", head)]
    assert all(row[start - 1] == " " for row in rows for start in starts[1:] if start < len(row))


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_the_log_keeps_to_the_terminal(columns: int, folder: Path) -> None:
    record = run_glimpse(("ledger", "log", "--data", "data", "--format", "json"), cwd=folder).objects
    lines = screen(terminal_output(("log", "--data", "data"), folder, columns))
    assert (
        lines[0].split() == ["REVISION", "TIME", "(UTC)", "KIND", "COLLECTION", "WHO", "WHAT"][: len(lines[0].split())]
    )
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    for change in record:
        assert all(word in words for word in (change["kind"], *change["what"].split()))


def terminal_output(words: tuple[str, ...], folder: Path, columns: int) -> str:
    """Returns everything that `glimpse ledger …` sends to a terminal of this width, without colours."""
    ours, theirs = pty.openpty()
    command = [*GLIMPSE, "ledger", *words]
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=folder, env=environment) as process:
        os.close(theirs)
        content = b""
        with suppress(OSError):  # raised when the other end of the terminal is closed
            while part := os.read(ours, 1 << 16):
                content += part
        os.close(ours)
    assert process.returncode == 0
    return content.decode()


def screen(raw: str) -> list[str]:
    """Returns the lines that a terminal shows at the end."""
    lines, at = [""], 0
    for code, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", raw):
        if code == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif code == "\x1b[1A":
            at -= 1
        elif code == "\x1b[2K" or text:
            lines[at] = text or ""
    return [line for line in lines if line]


def test_an_empty_log_is_reported(glimpse: Glimpse) -> None:
    done = glimpse("log", "--data", "data", "--collection", "nope")
    assert (done.code, done.out) == (1, "")
    assert done.err == "glimpse: there never was a collection 'nope'; see `glimpse collections list`\n"
    none = glimpse("log", "--data", "data", "--after", 10_000)
    assert (none.code, none.out, none.err) == (0, "", "no changes\n")


def test_the_log_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    with Direct.of(tmp_path) as ledger:
        fill(ledger)
        command = [*GLIMPSE, "ledger", "log", "--follow", "--data", str(tmp_path)]
        words = [*command, "--after", str(ledger.revision - 1)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        # The process that runs the tests may ignore the signal, and children inherit that.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heed) as process:
            try:
                assert process.stdout
                assert process.stdout.readline().startswith("REVISION")
                assert "revoke_key" in process.stdout.readline()
                ledger.enroll("birds", [LabelRecord("robin")], [example(80, "robin")])
                assert "enroll" in process.stdout.readline()
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 130
            finally:
                process.kill()


def test_an_invalid_backup_is_not_restored(glimpse: Glimpse, folder: Path) -> None:
    (folder / "a.err").write_text("glimpse: it failed\n" * 100)
    with sqlite3.connect(folder / "other.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    record = {
        "nosuch": "the backup nosuch cannot be read: No such file or directory",
        "data": "the backup data cannot be read: Is a directory",
        "a.err": "a.err is no backup of glimpse (file is not a database)",
        "other.db": "other.db is no backup of glimpse (no such table: alembic_version)",
    }
    for file, why in record.items():
        done = glimpse("restore", file, "--data", "unmade")
        assert (done.code, done.out, done.err) == (1, "", f"glimpse: {why}\n")
    assert not (folder / "unmade").exists()


def test_the_ledger_may_be_set_in_the_settings_file(glimpse: Glimpse, folder: Path) -> None:
    (folder / "old.toml").write_text("data = 'data'\n")
    (folder / "new.toml").write_text("ledger = 'sqlite:///by-file.sqlite'\n")
    old, new = ("--config", "old.toml"), ("--config", "new.toml")
    for words in (("backup", "by-file"), ("export", "by-file-too")):
        assert glimpse(*words, *old).code == 0
    assert glimpse("restore", "by-file", *new).code == 0
    (folder / "by-file.sqlite").unlink()
    assert glimpse("import", "by-file-too", *new).code == 0
    assert glimpse("verify", *new).out == glimpse("verify", *old).out
    assert glimpse("log", *new).out == glimpse("log", *old).out
    assert glimpse("verify", *new, "--ledger", "sqlite:///none.sqlite").err.startswith(
        "glimpse: there is no ledger none"
    )
    wrong = glimpse("verify", "--config", "none.toml")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert "none.toml cannot be read" in wrong.err


def test_a_missing_ledger_is_not_created(glimpse: Glimpse, folder: Path) -> None:
    for words in (("verify",), ("backup", "b"), ("export", "e"), ("log",)):
        done = glimpse(*words, "--data", "nowhere")
        assert done.code == 1
        assert done.err == "glimpse: there is no ledger nowhere/ledger.sqlite; name one with --data or --ledger\n"
    assert not (folder / "nowhere").exists()
    assert "a ledger is sqlite" in glimpse("verify", "--ledger", "mysql://x").err
