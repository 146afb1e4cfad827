"""Tests of unusual names, texts, tables and standard input: every input is processed or reported."""

import io
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from glimpse.cli.common.standard_input import read_standard_input
from glimpse.inputs import Columns, Entry
from support.server import GLIMPSE

from ..conftest import Done, Run, environment, run_glimpse


def counts(done: Done) -> dict[str, int]:
    message = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    return {name: int(message[name]) for name in ("enrolled", "duplicates", "failures")}


def piped(server: str, arguments: list[object], data: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    command = [*GLIMPSE, *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, env=environment(server), cwd=cwd, check=False)


def test_one_missing_file_does_not_end_classify(run: Run, collection: str, colours: Path) -> None:
    red, blue = colours / "red" / "0.png", colours / "blue" / "0.png"
    done = run("classify", collection, red, "gone.png", blue, "--format", "json")
    assert done.code == 1
    assert [one.get("label") for one in done.objects] == ["red", None, "blue"]
    assert done.objects[1]["error"]["reason"] == "FILE_UNREADABLE"
    assert "failed: gone.png: no such file or folder" in run("classify", collection, red, "gone.png").err


def test_names_that_are_not_utf8_are_named_and_the_rest_goes_on(run: Run, colours: Path, tmp_path: Path) -> None:
    bad = os.fsdecode(b"\xe9t\xe9")
    for folder, name in ((bad, "1.png"), ("red", f"{bad}.png"), ("red", "2.png")):
        (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
        colour = (colours / "red" / ("0.png" if name == "2.png" else "1.png")).read_bytes()
        (tmp_path / "data" / folder / name).write_bytes(colour)
    done = run("enroll", "odd", "data", "--create")
    assert done.code == 1
    assert counts(done) == {"enrolled": 2, "duplicates": 0, "failures": 1}
    assert "data/\\xe9t\\xe9: the folder's name '\\xe9t\\xe9' is not UTF-8; its 1 file is left out" in done.err
    found = run("classify", "odd", "data", "--format", "json")
    assert [one["input"] for one in found.objects] == [
        *("data/red/2.png", "data/red/\\xe9t\\xe9.png", "data/\\xe9t\\xe9/1.png")
    ]
    assert "Traceback" not in done.err + found.err


def test_options_that_are_not_utf8_are_one_line_before_anything_is_sent(tmp_path: Path) -> None:
    bad = os.fsdecode(b"d\xe9")
    for arguments, message in (
        (["enroll", "x", "--text", "a", "--label", bad], "--label 'd\\xe9' is not UTF-8"),
        (["classify", bad, "--text", "a"], "COLLECTION 'd\\xe9' is not UTF-8"),
        (["serve", "--data", bad], "--data 'd\\xe9' is not UTF-8"),
        (["labels", "show", "x", bad], "LABEL 'd\\xe9' is not UTF-8"),
    ):
        done = run_glimpse(arguments, cwd=tmp_path)
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert message in done.err
    assert not list(tmp_path.iterdir())


def test_rows_of_tables_add_up_and_are_called_by_their_pictures(run: Run, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes((colours / "red" / "0.png").read_bytes())
    rows = ["file , kind", "red.png, warm", "gone.png, warm", f"{colours}/red/1.png, warm", "red.png, ", ",warm"]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    named = ["--path-column", "file", "--label-column", "kind"]
    done = run("enroll", "rows", "t.csv", *named, "--create", "--format", "json")
    assert done.code == 1
    assert [(one["input"], one.get("error", {}).get("reason")) for one in done.objects] == [
        ("red.png", None),
        ("gone.png", "FILE_UNREADABLE"),
        ("t.csv:4", "PATH_OUTSIDE"),
        ("t.csv:5", "LABEL_MISSING"),
        ("t.csv:6", "ROW_MALFORMED"),
    ]
    again = run("enroll", "rows", "t.csv", *named, "--allow-outside")
    assert counts(again) == {"enrolled": 1, "duplicates": 1, "failures": 3}
    lacking = run("enroll", "rows", "t.csv", "--path-column", "file", "--label-column", "kid")
    assert (lacking.code, "no column 'kid'; it has file, kind — did you mean 'kind'?" in lacking.err) == (1, True)
    assert run("classify", "rows", "t.csv", "--path-column", "file").code == 1


def test_parquet_of_pictures_and_a_label_that_looks_mistyped(run: Run, colours: Path, tmp_path: Path) -> None:
    pictures = [(colours / colour / "0.png").read_bytes() for colour in ("red", "blue")]
    pq.write_table(pa.table({"bytes": pictures, "Label": ["warm", "cold"], "id": ["a", "b"]}), tmp_path / "t.parquet")
    slip = run("enroll", "parquet", "t.parquet", "--label", "all", "--create")
    assert "t.parquet has no column 'label'; did you mean 'Label'? Then add --label-column Label" in slip.err
    assert run("enroll", "cells", "t.parquet", "--label-column", "Label", "--create").code == 0
    found = run("classify", "cells", "t.parquet", "--format", "json").objects
    assert [(one["input"], one["label"]) for one in found] == [("a", "warm"), ("b", "cold")]


def test_a_dash_is_standard_input(toy_server: str, collection: str, colours: Path, tmp_path: Path) -> None:
    classify: list[object] = ["classify", collection, "-", "--format", "json"]
    for data, names in (
        ((colours / "red" / "0.png").read_bytes(), ['"-"']),
        (b"red\r\n\nred\n", ['"-:1"', '"-:3"']),
        (b'{"text": "red", "id": "one"}\n"red"\n', ['"one"', '"-:2"']),
    ):
        done = piped(toy_server, classify, data, tmp_path)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.decode().splitlines()
        assert [f'"input": {name}' in line for name, line in zip(names, lines, strict=True)] == [True] * len(names)
        assert all('"label": "red"' in line for line in lines)
    empty = piped(toy_server, classify, b"", tmp_path)
    assert (empty.returncode, b"nothing to read" in empty.stderr) == (1, True)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_standard_input_knows_a_picture_of_every_format(format_: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (9, 7), "red").save(data, format_)
    [found] = read_standard_input(io.BytesIO(data.getvalue()), Columns(), allow_outside=False)
    assert isinstance(found, Entry)
    assert (found.kind, found.content) == ("image", data.getvalue())


def test_standard_input_does_not_mistake_a_text_for_a_picture() -> None:
    texts = ["BMW is a car of Munich, in Bavaria", "P1", "P2", "GIF8 or PNG?", "II*", "RIFF is not WEBP"]
    found = read_standard_input(io.BytesIO("\n".join(texts).encode()), Columns(), allow_outside=False)
    assert [one.content for one in found if isinstance(one, Entry)] == texts


def test_files_that_are_not_pictures_are_reported(run: Run, collection: str, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / ".ipynb_checkpoints").mkdir(parents=True)
    for name in ("1.png", ".ipynb_checkpoints/2.png", "3.psd", "4.txt", "5.txt"):
        (tmp_path / "in" / name).write_bytes((colours / "red" / "0.png").read_bytes())
    done = run("classify", collection, "in", "--format", "json")
    assert (done.code, len(done.objects)) == (0, 1)
    assert done.err == "left out in in: 2 .txt, 1 .psd not read\n"
