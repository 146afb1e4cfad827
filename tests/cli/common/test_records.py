"""Tests of CSV output: it follows RFC 4180, and its columns do not depend on the data."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glimpse.cli.commands import COMMANDS, command
from glimpse.cli.common.options import Format
from glimpse.cli.common.records import RecordWriter, print_all

from ..conftest import Run, run_glimpse


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_values_are_written_as_rfc_4180_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    writer = RecordWriter(Format.CSV, ("text", "part", "found", "error.code", "labels", "none"))
    writer.write(text='a "b", c', part=0.1, found=True, error={"code": "OK"}, labels=["é", 1], none=None)
    writer.write(text="two\r\nlines", part=-3, found=False, error=None)
    assert capsys.readouterr().out == (
        "text,part,found,error.code,labels,none\r\n"
        '"a ""b"", c",0.1,true,OK,"[""é"", 1]",\r\n'
        '"two\r\nlines",-3,false,,,\r\n'
    )


def test_an_empty_list_has_a_heading_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_all(Format.CSV, [], ("id", "labels"))
    print_all(Format.JSON, [], ("id", "labels"))
    assert capsys.readouterr().out == "id,labels\r\n"


def test_a_terminal_gets_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glimpse.cli.common.records.on_terminal", lambda: True)
    RecordWriter(Format.CSV, ("label",)).write(label="\x1b]0;title\x07")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["collections", "list"],
        ["labels", "list", "COLLECTION"],
        ["examples", "list", "COLLECTION"],
        ["backbones", "list"],
        ["collections", "show", "COLLECTION"],
        ["status"],
        ["report", "COLLECTION"],
    ],
    ids=" ".join,
)
def test_csv_has_the_fields_of_json(arguments: list[str], run: Run, collection: str) -> None:
    words = [collection if word == "COLLECTION" else word for word in arguments]
    objects, rows = run(*words, "--format", "json").objects, table(run(*words, "--format", "csv").out)
    assert len(rows) == len(objects) > 0
    for one, row in zip(objects, rows, strict=True):
        # A field of a nested object has a column name with a dot.
        assert {name.partition(".")[0] for name in row} >= one.keys()
        if arguments[0] in ("collections", "labels", "examples"):
            for name, value in one.items():
                cell = row[name]
                assert (cell == (value or "")) if isinstance(value, str | None) else json.loads(cell) == value


def test_a_row_an_input_failures_too(run: Run, collection: str, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = colours / "red" / "0.png"
    done = run("classify", collection, good, tmp_path / "broken.png", "--format", "csv")
    first, second = table(done.out)
    assert done.code == 1
    assert (first["input"], first["decision"], first["label"]) == (str(good), "MATCH", "red")
    assert float(first["probability"]) > 0.5
    assert json.loads(first["labels"])[0]["label"] == "red"
    assert float(first["timings_ms.total"]) > 0
    assert first["error.reason"] == second["decision"] == ""
    assert second["error.reason"].startswith("IMAGE_")
    again = run("enroll", collection, good, "--label", "red", "--format", "csv")
    assert [(one["label"], one["duplicate"]) for one in table(again.out)] == [("red", "true")]
    found = table(run("search", collection, good, "--top", "3", "--format", "csv").out)
    assert [one["label"] for one in found] == ["red"] * 3
    assert float(found[0]["similarity"]) == pytest.approx(1, abs=1e-3)


def test_nothing_is_cut_in_a_pipe(run: Run, collection: str, colours: Path, tmp_path: Path) -> None:
    label = "a-label-with-a-name-that-no-terminal-of-eighty-columns-shows"
    file = tmp_path / f"{'x' * 100}.png"
    file.write_bytes((colours / "red" / "0.png").read_bytes())
    assert run("labels", "create", collection, label, "--prompt", "p" * 100).code == 0
    listed = run("labels", "list", collection).out
    assert label in listed
    assert "p" * 100 in listed
    text = "red " * 50
    record = run("classify", collection, file, "--text", text).out
    assert str(file) in record
    assert text in record


def formats(node: Any) -> Iterator[Any]:
    """Yields the option --format of a command and of its subcommands."""
    yield from (one for one in node.params if one.name == "output")
    for child in getattr(node, "commands", {}).values():
        yield from formats(child)


def test_every_command_with_a_format_has_csv() -> None:
    root = command()
    context = root.context_class(root, info_name="glimpse")
    for name in COMMANDS:
        node = root.get_command(context, name)
        for option in formats(node):
            assert option.type_descriptor.annotation is Format, name


def test_version_is_the_distributions() -> None:
    done = run_glimpse(["--version"])
    assert done.code == 0
    assert re.fullmatch(r"glimpse \d+\.\d+\.\d+\S*\n", done.out)
