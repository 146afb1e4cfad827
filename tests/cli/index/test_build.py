"""Tests of `glimpse index build` as a process: exit codes, output and Ctrl-C."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.building import failed, painted, rows, texts, written
from support.server import GLIMPSE

from ..conftest import Done, environment, run_glimpse


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return painted(tmp_path / "photos", [f"{label}/{i}" for label in ("cat", "dog") for i in range(6)])


def index(folder: Path, toy: Path, *arguments: object, columns: int | None = None) -> Done:
    words = ["index", "build", "photos", "--backbone", toy, "--out", "out", "--labels", "label", *arguments]
    return run_glimpse(words, cwd=folder, columns=columns)


def test_a_build_without_failures_exits_with_zero(photos: Path, toy_bundle: Path, tmp_path: Path) -> None:
    done = index(tmp_path, toy_bundle, "--type", "Flat", columns=80)
    assert done.code == 0, done.err
    assert "12 inputs: 12 encoded, 0 unchanged, 0 copies, 0 changed, 0 failed" in done.out
    assert "out: 12 rows of 4 numbers (float16), 2 labels, 1 shard" in done.out
    assert "index: Flat" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    found = rows(tmp_path / "out")
    assert {row["label"] for row in found.values()} == {"cat", "dog"}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    command = f"glimpse index build photos --backbone {toy_bundle} --out out --labels label --type Flat"
    assert manifest["rebuild"] == command


def test_json_has_every_figure(photos: Path, toy_bundle: Path, tmp_path: Path) -> None:
    done = index(tmp_path, toy_bundle, "--format", "json", "--vectors", "float32")
    [record] = done.objects
    assert (record["inputs"], record["encoded"], record["failed"], record["failures"]) == (12, 12, 0, [])
    assert record["manifest"] == json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["manifest"]["vector_type"] == "float32"
    assert list(record["stages"]) == ["read_decode", "encode", "write", "index", "all"]


def test_failed_inputs_are_reported_and_have_their_own_exit_code(
    photos: Path, toy_bundle: Path, tmp_path: Path
) -> None:
    for number in range(7):
        (photos / "cat" / f"broken-{number}.png").write_bytes(b"no picture")
    done = index(tmp_path, toy_bundle)
    assert done.code == 3
    assert "photos/cat/broken-0.png: IMAGE_FORMAT_UNKNOWN: " in done.err
    assert "7 of 19 inputs failed: see out/errors.parquet" in done.err
    assert "broken-6" not in done.err
    assert len(failed(tmp_path / "out")) == 7
    assert len(rows(tmp_path / "out")) == 12


def test_an_existing_index_is_continued_only_with_resume(photos: Path, toy_bundle: Path, tmp_path: Path) -> None:
    assert index(tmp_path, toy_bundle).code == 0
    again = index(tmp_path, toy_bundle)
    assert (again.code, again.out) == (1, "")
    assert again.err == "glimpse: out is an index already — add new inputs with --resume, or give another --out\n"
    painted(photos, ["cat/one-more"])
    grown = index(tmp_path, toy_bundle, "--resume")
    assert grown.code == 0, grown.err
    assert "13 inputs: 1 encoded, 12 unchanged" in grown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "nothing"], "nothing: there is no such bundle"),
        (["--labels", "lable"], "'lable' does not say where labels are"),
        (["--type", "Flt"], "Flt"),
    ],
)
def test_an_impossible_build_is_one_line(
    photos: Path, toy_bundle: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = index(tmp_path, toy_bundle, *arguments)
    assert done.code == 1
    assert done.err.startswith("glimpse: ")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_an_index_with_too_low_recall_is_an_error(toy_bundle: Path, tmp_path: Path) -> None:
    data = texts(tmp_path / "texts.jsonl", 2_000)
    data.write_text(data.read_text() + "no JSON\n")
    words = ["index", "build", "texts.jsonl", "--backbone", toy_bundle, "--out", "out", "--type", "PQ1x2"]
    done = run_glimpse([*words, "--min-recall", "1"], cwd=tmp_path)
    assert done.code == 1
    assert re.search(r"the index's recall of the 10 nearest is 0\.\d+, below 1", done.err)
    assert "1 of 2,001 inputs failed" in done.err
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_ctrl_c_keeps_what_is_written_and_says_so(toy_bundle: Path, tmp_path: Path) -> None:
    texts(tmp_path / "texts.jsonl", 20_000)
    # The process interrupts itself after it has written some rows. The tests themselves may ignore SIGINT.
    code = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from glimpse.builder.output.fragments import Fragments\nfrom glimpse.cli.main import main\n"
        "write = Fragments.write\n"
        "def interrupted(self, table):\n    write(self, table)\n"
        "    self._next == 5 and os.kill(os.getpid(), signal.SIGINT)\n"
        "Fragments.write = interrupted\nmain(sys.argv[1:])"
    )
    words = ["index", "build", "texts.jsonl", "--backbone", toy_bundle, "--out", "out"]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(""), check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr == "interrupted: the rows written to out are kept; continue with --resume\n"
    kept = len(written(tmp_path / "out"))
    assert 0 < kept < 20_000
    again = run_glimpse([*words, "--resume", "--format", "json"], cwd=tmp_path)
    assert again.code == 0, again.err
    [record] = again.objects
    assert record["known"] >= 5 * 256
    assert record["known"] + record["encoded"] <= 20_000
    assert len(rows(tmp_path / "out")) == 20_000


def test_a_terminal_has_a_bar_and_others_have_lines(photos: Path, toy_bundle: Path, tmp_path: Path) -> None:
    if not hasattr(os, "openpty"):
        pytest.skip("no terminals here")
    ours, theirs = os.openpty()
    words = ["index", "build", "photos", "--backbone", str(toy_bundle), "--out", "out"]
    command = [*GLIMPSE, *words]
    variables = {**environment(""), "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=tmp_path, env=variables, check=False)
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while part := terminal.read(4_096):
                shown += part
        except OSError:  # raised by Linux when the other end of the terminal is closed
            pass
    assert done.returncode == 0
    assert "embedding" in shown.decode()
    assert "12/" in shown.decode()
    assert "0 failed" in shown.decode()
