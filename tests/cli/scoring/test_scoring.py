"""Tests of `glimpse test`."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.toy_bundle import COLOURS

from ..conftest import Run


def draw(file: Path, colour: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture
def data(colours: Path, tmp_path: Path) -> Path:
    """Draws three new pictures per colour (one red is blue), one enrolled, two of a new label, and a damaged one."""
    folder = tmp_path / "data"
    for number, colour in enumerate(COLOURS):
        for seed in range(3):
            draw(folder / colour / f"{seed}.png", colour, 100 + 10 * number + seed)
    draw(folder / "red" / "0.png", "blue", 500)
    shutil.copy(colours / "green" / "3.png", folder / "green" / "again.png")
    for seed in range(2):
        draw(folder / "crimson" / f"{seed}.png", "red", 600 + seed)
    (folder / "red" / "damaged.png").write_bytes(b"no picture")
    (folder / "red" / "notes.md").write_text("not read")
    return folder


def whole(record: dict[str, Any]) -> None:
    """Checks that the counts of a record add up."""
    counts = (
        "answered",
        "label_missing",
        "failed",
        *(() if record["with_enrolled"] else ("enrolled", "group_enrolled")),
    )
    assert record["inputs"] == sum(record[name] for name in counts)
    assert sum(record["decisions"].values()) == record["answered"] == sum(one["inputs"] for one in record["labels"])
    right = sum(one["right"] for one in record["labels"])
    assert record["answered"] == right + sum(one["count"] for one in record["confusions"])
    for one in record["labels"]:
        assert sum(one["decisions"].values()) == one["inputs"]
    if record["accuracy"]:
        assert record["accuracy"]["count"] == record["answered"]
        assert record["accuracy"]["value"] == pytest.approx(right / record["answered"])
        assert record["accuracy"]["low"] <= record["accuracy"]["value"] <= record["accuracy"]["high"] + 1e-9
    unknown = record["unknown"]
    assert sum(unknown["decisions"].values()) == unknown["answered"]
    assert unknown["inputs"] == unknown["answered"] + unknown["failed"] + (
        0 if record["with_enrolled"] else unknown["enrolled"]
    )
    assert sum(one["count"] for one in unknown["taken_for"]) == unknown["decisions"]["MATCH"]


def test_every_input_is_accounted_for(run: Run, collection: str, data: Path) -> None:
    done = run("test", collection, data, "--format", "json")
    assert done.code == 1  # one input failed
    [found] = done.objects
    whole(found)
    assert (found["inputs"], found["answered"], found["enrolled"], found["label_missing"], found["failed"]) == (
        *(3 * len(COLOURS) + 4, 3 * len(COLOURS)),
        *(1, 2, 1),
    )
    assert found["confusions"] == [{"label": "red", "answered_label": "blue", "count": 1}]
    assert found["labels_missing"] == [{"label": "crimson", "count": 2}]
    assert found["labels"][0]["label"] == "red"  # the lowest recall comes first
    assert found["labels"][0]["recall"] == pytest.approx(2 / 3)
    [blue] = [one for one in found["labels"] if one["label"] == "blue"]
    assert (blue["recall"], blue["precision"]) == (1.0, 0.75)
    assert [one["input"] for one in found["failures"]] == [str(data / "red" / "damaged.png")]
    assert "1 input of 16 enrolled in" in done.err
    assert "crimson (2)" in done.err
    assert "1 .md not read" in done.err


def test_enrolled_inputs_count_only_if_requested(run: Run, collection: str, colours: Path) -> None:
    refused = run("test", collection, colours)
    assert refused.code == 1
    assert refused.err.splitlines()[-1].endswith("test with other inputs, or count them with --with-enrolled")
    done = run("test", collection, colours, "--with-enrolled", "--format", "json")
    assert done.code == 0, done.err
    [found] = done.objects
    whole(found)
    assert (found["enrolled"], found["answered"], found["accuracy"]["value"]) == (24, 24, 1.0)
    assert "raises accuracy" in done.err


def test_unknown_inputs_and_those_of_negative_labels(run: Run, collection: str, data: Path, tmp_path: Path) -> None:
    for number, colour in enumerate(("red", "blue")):
        draw(data / "unknown" / f"{number}.png", colour, 700 + number)
        draw(data / "none" / f"{number}.png", colour, 800 + number)
    draw(tmp_path / "clutter" / "0.png", "green", 900)
    assert run("enroll", collection, tmp_path / "clutter", "--label", "none", "--negative", "--create").code == 0
    [found] = run("test", collection, data, "--unknown", data / "unknown", "--format", "json").objects
    whole(found)
    assert found["unknown"]["inputs"] == found["unknown"]["answered"] == 4
    assert {one["label"] for one in found["labels_missing"]} == {
        "crimson"
    }  # the folder of --unknown is inside the data
    assert found["unknown"]["false_accept"]["count"] == 4
    people = run("test", collection, data, "--unknown", data / "unknown", columns=80)
    for word in (
        "accuracy  ",
        "accuracy of MATCH",
        "false rejects",
        "rejected",
        "false accepts",
        "Confusions",
        "Figures per label",
        "PRECISION",
    ):
        assert word in people.out
    assert max(map(len, people.out.splitlines())) <= 80, people.out


def test_tables_of_texts_and_of_files(run: Run, collection: str, data: Path, tmp_path: Path) -> None:
    rows = [{"say": colour, "colour": colour} for colour in COLOURS] + [{"say": "blue", "colour": "red"}]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["test", collection, tmp_path / "texts.jsonl", "--text-column", "say", "--label-column", "colour"]
    [found] = run(*words, "--format", "json").objects
    whole(found)
    assert (found["answered"], found["confusions"][0]["count"]) == (len(rows), 1)
    table = "file,label\n" + "".join(f"data/{colour}/1.png,{colour}\n" for colour in COLOURS) + "data/red/2.png,\n"
    (tmp_path / "files.csv").write_text(table)
    done = run("test", collection, tmp_path / "files.csv", "--path-column", "file", "--format", "csv")
    [row] = csv.DictReader(io.StringIO(done.out, newline=""), strict=True)
    assert (row["answered"], row["failed"], row["accuracy.value"]) == (str(len(COLOURS)), "1", "1.0")
    assert json.loads(row["confusions"]) == []
    (tmp_path / "gone.csv").write_text("file,label\nnone.png,red\n")
    gone = run("test", collection, tmp_path / "gone.csv", "--path-column", "file")
    assert (gone.code, gone.out) == (1, "")
    assert "none.png" in gone.err.splitlines()[0]
    lacking = run("test", collection, tmp_path / "files.csv", "--path-column", "file", "--label-column", "labels")
    assert (lacking.code, lacking.err.count("\n")) == (1, 1)
    assert "'label'" in lacking.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent"], "absent"),
        (["data/red"], "has no subfolders to take labels from — glimpse test reads LABEL/file"),
        (["data", "--unknown", "absent"], "absent"),
    ],
)
def test_an_impossible_test_is_one_line(words: list[str], message: str, run: Run, collection: str, data: Path) -> None:
    assert data.exists()
    done = run("test", collection, *words)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert message in done.err
    assert run("test", "nowhere", "data").err.startswith("glimpse: there is no collection 'nowhere'")


def test_a_column_that_looks_mistyped_is_named_once(run: Run, collection: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("Label,text\nred,red\n")
    done = run("test", collection, "rows.csv")
    assert done.code == 1
    assert done.err.count("--label-column Label") == done.err.count("\n") == 1


def test_inputs_whose_group_is_enrolled_are_left_out(run: Run, tmp_path: Path) -> None:
    enrolled = [{"text": "red", "label": "warm", "page": "1"}, {"text": "blue", "label": "cold", "page": "2"}]
    new = [{"text": "white", "label": "warm", "page": "1"}, {"text": "green", "label": "cold", "page": "3"}]
    for name, rows in (("enrolled.jsonl", enrolled), ("new.jsonl", new)):
        (tmp_path / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    run("enroll", "pages", tmp_path / "enrolled.jsonl", "--group-column", "page", "--create")
    [example, *_] = run("examples", "list", "pages", "--format", "json").objects
    assert example["group"] == "1"
    done = run("test", "pages", tmp_path / "new.jsonl", "--group-column", "page", "--format", "json")
    record = json.loads(done.out)
    whole(record)
    assert (record["answered"], record["enrolled"], record["group_enrolled"]) == (1, 0, 1)
    assert "1 input of 2 of groups that have examples in pages: left out" in done.err
    counted = run(
        "test", "pages", tmp_path / "new.jsonl", "--group-column", "page", "--with-enrolled", "--format", "json"
    )
    assert json.loads(counted.out)["answered"] == 2
    ungrouped = run("test", "pages", tmp_path / "new.jsonl", "--format", "json")
    assert json.loads(ungrouped.out)["answered"] == 2
    run("collections", "delete", "pages", "--force")
