"""The whole command on real data with the real glimpse-mini."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.cli import evaluate as command
from glimpse.fewshot import PINNABLE
from support.bundles import tiny_image_bundle

from .conftest import Evaluate

_COLOURS, _SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "triangle", "star")
_PHRASES = ("{}", "a {}", "a picture of {}", "a drawing of {}", "one {} here", "the {}", "it is {}", "{} again")


def rows() -> list[tuple[str, str]]:
    """Texts of sixteen things, each said in eight ways."""
    things = [f"{colour} {shape}" for colour in _COLOURS for shape in _SHAPES]
    return [(phrase.format(thing), thing.replace(" ", "_")) for thing in things for phrase in _PHRASES]


def test_drawings_with_strangers_and_two_backbones(
    evaluate: Evaluate, drawings: Path, strangers: Path, tmp_path: Path
) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    backbones = ["--backbone", tmp_path / "tiny", "--backbone", "glimpse-mini"]
    done = evaluate(drawings, *backbones, "--shots", "0,1,4", "--seeds", "3", "--unknown", strangers)
    assert done.code == 0, done.err
    assert "shots 0: left out for tiny-image" in done.err
    assert max(map(len, done.out.splitlines()[:-1])) <= 80  # the last line is a path
    assert "glimpse-mini suits these data better than tiny-image" in done.out
    one, four = done.result(1), done.result(4)
    assert four["accuracy"]["mean"] > one["accuracy"]["mean"] > 0.5
    assert (one["answered_by"], four["answered_by"]) == ({"class-mean": 3}, {"lda": 3})
    assert four["balanced_accuracy"]["mean"] == pytest.approx(four["accuracy"]["mean"])  # labels of one size
    assert four["auroc"]["mean"] > 0.7
    assert 0 <= four["false_accept"]["mean"] <= 1 - four["caught"]["mean"]
    assert one["auroc"] is None
    assert sum(four["histograms"][0]["strangers"]) == 3 * 30
    [gap] = [gap for gap in done.record["differences"] if gap["shots"] == 4]
    own = [trial["accuracy"] for trial in four["trials"]]
    other = [trial["accuracy"] for trial in done.result(4, backbone="tiny-image")["trials"]]
    assert gap["accuracy"]["mean"] == pytest.approx(sum(a - b for a, b in zip(own, other, strict=True)) / 3)
    assert done.record["mistakes"]["tiny-image"]["worst"][0]["input"].endswith(".png")


def test_pinned_heads_stand_beside_the_ladder(evaluate: Evaluate, drawings: Path) -> None:
    done = evaluate(drawings, "--shots", "1,4", "--seeds", "2", "--head", "neighbors", "--head", "class-mean")
    assert done.code == 0, done.err
    heads = {(one["head"], one["shots"]) for one in done.record["results"]}
    assert {("auto", 4), ("neighbors", 4), ("class-mean", 1), ("class-mean+text", 4)} <= heads
    assert ("neighbors", 1) not in heads
    assert "shots 1: neighbors left out" in done.err
    assert done.result(4, "neighbors")["answered_by"] == {"neighbors": 2}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_texts_in_a_table(evaluate: Evaluate, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"data.{suffix}"
    if suffix == "csv":
        lines = ["label,text", *(f'{label},"{text}, so"' for text, label in rows())]
    else:
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows()]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    done = evaluate(file, "--shots", "0,2", "--seeds", "2")
    assert done.code == 0, done.err
    assert done.record["data"]["inputs"] == len(rows())
    assert done.result(0, "auto+text")["accuracy"]["mean"] > 0.8  # names alone say it
    assert done.result(2)["accuracy"]["mean"] > 0.5


def test_pictures_named_by_a_table_lie_beside_it(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "pictures")
    files = sorted((tmp_path / "pictures").rglob("*.png"))
    lines = ["image,label", *(f"{file.relative_to(tmp_path)},{file.parent.name}" for file in files)]
    (tmp_path / "data.csv").write_text("\n".join(lines), "utf-8")
    done = evaluate(tmp_path / "data.csv", "--shots", "2", "--seeds", "2")
    assert done.code == 0, done.err
    assert done.record["data"]["inputs"] == 60


def test_domains_are_taught_in_one_and_asked_in_each(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    for place, first in (("here", 0), ("there", 5)):
        for folder in sorted(drawings.iterdir())[:3]:
            (tmp_path / "data" / place / folder.name).mkdir(parents=True)
            for number in range(first, first + 5):
                shutil.copy(folder / f"{number}.png", tmp_path / "data" / place / folder.name)
    done = evaluate(tmp_path / "data", "--domains", "--shots", "2", "--seeds", "2")
    assert done.code == 0, done.err
    found = {(one["taught_in"], one["asked_in"]): one for one in done.record["domains"]}
    assert set(found) == {(a, b) for a in ("here", "there") for b in ("here", "there")}
    assert found["here", "here"]["accuracy_centred"] is None
    assert found["here", "there"]["accuracy_centred"]["trials"] == 2
    assert "another, centred" in done.out


def test_what_cannot_be_read_is_named_and_left_out(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    (tmp_path / "data" / "char_0" / "3.png").write_bytes(b"no picture")
    shutil.copy(tmp_path / "data" / "char_1" / "0.png", tmp_path / "data" / "char_1" / "copy.png")
    done = evaluate(tmp_path / "data", "--shots", "1", "--seeds", "2")
    assert done.code == 0, done.err
    assert "1 inputs of" in done.err
    assert "char_0/3.png: not a picture" in done.err
    assert "1 inputs are copies" in done.err
    assert done.record["data"]["inputs"] == 59
    assert list(done.record["data"]["unreadable"]) == [str(tmp_path / "data" / "char_0" / "3.png")]


def test_labels_with_few_inputs_give_all_but_one(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    for number in range(2, 10):
        (tmp_path / "data" / "char_0" / f"{number}.png").unlink()
    for number in range(1, 10):
        (tmp_path / "data" / "char_1" / f"{number}.png").unlink()
    done = evaluate(tmp_path / "data", "--shots", "4,16", "--seeds", "2")
    assert done.code == 0, done.err
    assert "1 labels have a single input" in done.err
    assert "shots 16: left out, as no label has more than 10 inputs" in done.err
    assert "shots 4: 1 of 5 labels have too few" in done.err


def test_what_is_wrong_is_said_with_what_to_do(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    (tmp_path / "columns.csv").write_text("sentence,kind\na,b\n")
    (tmp_path / "unlabelled.csv").write_text("text,kind\na,b\n")
    (tmp_path / "lonely.csv").write_text("text,label\na,b\nc,d\n")
    (tmp_path / "one.csv").write_text("text,label\na,b\nc,b\n")
    (tmp_path / "broken.jsonl").write_text('{"text": "a", "label": "b"}\n{"text"\n')
    (tmp_path / "texts.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows()))
    (tmp_path / "empty").mkdir()
    tiny_image_bundle(tmp_path / "tiny")
    for data, arguments, told in (
        ("columns.csv", [], "no column 'text', 'path' or 'image'; it has sentence, kind"),
        ("unlabelled.csv", [], "no column 'label'; it has text, kind"),
        ("lonely.csv", [], "no label has two examples"),
        ("one.csv", [], "only the label 'b' has two examples"),
        ("broken.jsonl", [], "line 2: not JSON"),
        ("missing", [], "there is no file or folder"),
        ("empty", [], "has no subfolders to take labels from"),
        ("texts.csv", ["--backbone", tmp_path / "tiny"], "backbone 'tiny-image' reads image, and the data are texts"),
        ("texts.csv", ["--backbone", "nothing"], "there is no bundle nothing"),
        ("texts.csv", ["--backbone", tmp_path / "empty"], "backbone.json: is missing"),
        ("texts.csv", ["--unknown", drawings], "holds images, and the data are texts"),
        ("texts.csv", ["--shots", "50"], "no label has more than 8 inputs"),
    ):
        done = evaluate(tmp_path / data, *arguments)
        assert done.code == 1, data
        assert told in done.err
        assert done.err.startswith("glimpse: ")
    assert evaluate(drawings, "--shots", "one").code == 2
    assert evaluate(drawings, "--head", "best").code == 2


def test_the_heads_to_pin_are_the_engines() -> None:
    assert set(command._HEADS) == {one.value.replace("_", "-") for one in PINNABLE}


def test_without_matplotlib_it_prints_the_pip_command(tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None\nfrom glimpse.cli.main import main\n"
    code += "main(['evaluate', 'data', '--out', 'out'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "pip install '.[evaluate]' in Glimpse's folder" in done.stderr
    assert not list(tmp_path.iterdir())
