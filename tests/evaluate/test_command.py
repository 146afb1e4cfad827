"""Tests the whole command on real data with the real glimpse-mini."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.cli.evaluate import command as command
from glimpse.fewshot import PINNABLE
from support.bundles import tiny_image_bundle

from .conftest import Evaluate

_COLOURS, _SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "triangle", "star")
_PHRASES = ("{}", "a {}", "a picture of {}", "a drawing of {}", "one {} here", "the {}", "it is {}", "{} again")


def rows() -> list[tuple[str, str]]:
    """Returns texts about sixteen things, eight for each."""
    things = [f"{colour} {shape}" for colour in _COLOURS for shape in _SHAPES]
    return [(phrase.format(thing), thing.replace(" ", "_")) for thing in things for phrase in _PHRASES]


def test_drawings_with_unknown_inputs_and_two_backbones(
    evaluate: Evaluate, drawings: Path, unknown: Path, tmp_path: Path
) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    backbones = ["--backbone", tmp_path / "tiny", "--backbone", "glimpse-mini"]
    done = evaluate(drawings, *backbones, "--shots", "0,1,4", "--seeds", "3", "--unknown", unknown)
    assert done.code == 0, done.err
    assert "shots 0: left out for tiny-image" in done.err
    assert max(map(len, done.out.splitlines()[:-1])) <= 80  # the last line is a path
    assert "glimpse-mini suits these data better than tiny-image" in done.out
    one, four = done.result(1), done.result(4)
    assert four["accuracy"]["mean"] > one["accuracy"]["mean"] > 0.5
    assert (one["answered_by"], four["answered_by"]) == ({"class-mean": 3}, {"lda": 3})
    assert four["balanced_accuracy"]["mean"] == pytest.approx(four["accuracy"]["mean"])  # all labels have the same size
    assert four["auroc"]["mean"] > 0.7
    assert 0 <= four["false_accept"]["mean"] <= 1 - four["caught"]["mean"]
    assert one["auroc"] is None
    assert sum(four["histograms"][0]["strangers"]) == 3 * 30  # plain-english: stored name
    [gap] = [gap for gap in done.record["differences"] if gap["shots"] == 4]
    own = [trial["accuracy"] for trial in four["trials"]]
    other = [trial["accuracy"] for trial in done.result(4, backbone="tiny-image")["trials"]]
    assert gap["accuracy"]["mean"] == pytest.approx(sum(a - b for a, b in zip(own, other, strict=True)) / 3)
    assert done.record["mistakes"]["tiny-image"]["worst"][0]["input"].endswith(".png")


def test_pinned_heads_are_shown_with_the_selected_one(evaluate: Evaluate, drawings: Path) -> None:
    pinned = [word for head in ("neighbors", "lda", "class-mean") for word in ("--head", head)]
    done = evaluate(drawings, "--shots", "1,4", "--seeds", "2", *pinned)
    assert done.code == 0, done.err
    heads = {(one["head"], one["shots"]) for one in done.record["results"]}
    assert {("auto", 4), ("neighbors", 4), ("lda", 4), ("class-mean", 1), ("class-mean+text", 4)} <= heads
    assert ("lda", 1) not in heads
    assert "shots 1: lda left out" in done.err
    assert done.result(4, "neighbors")["answered_by"] == {"neighbors": 2}


def test_names_alone_with_a_second_backbone_that_reads_no_text(
    evaluate: Evaluate, drawings: Path, tmp_path: Path
) -> None:
    for name in ("tiny", "other"):
        tiny_image_bundle(tmp_path / name, name=name, seed=3)
    backbones = [
        word for name in (tmp_path / "tiny", tmp_path / "other", "glimpse-mini") for word in ("--backbone", name)
    ]
    done = evaluate(drawings, *backbones, "--shots", "0", "--seeds", "2")
    assert done.code == 0, done.err
    assert "shots 0: left out for tiny, other, which read no text and have no prompts" in done.err
    assert [one["backbone"] for one in done.record["results"]] == ["glimpse-mini"]
    assert done.record["verdict"].startswith("glimpse-mini classifies ")
    assert "<summary>tiny</summary>" not in done.page  # nothing was measured for it
    refused = evaluate(drawings, *backbones[:4], "--shots", "0")
    assert (refused.code, "choose other --shots" in refused.err) == (1, True)


def test_prediction_sets_hold_what_they_promise(evaluate: Evaluate, drawings: Path, unknown: Path) -> None:
    done = evaluate(drawings, "--shots", "1,4", "--seeds", "3")
    assert done.code == 0, done.err
    one, four = done.result(1), done.result(4)
    assert (one["coverage"], one["set_size"]) == (None, None)
    assert 1 <= four["set_size"]["mean"] <= 6
    assert four["coverage"]["mean"] >= four["accuracy"]["mean"]  # a set contains its best label
    assert "SET  SIZE" in done.out
    assert "SET  SIZE" not in evaluate(drawings, "--shots", "4", "--seeds", "2", "--unknown", unknown).out


def test_without_unknown_inputs_labels_are_held_out(evaluate: Evaluate, drawings: Path) -> None:
    done = evaluate(drawings, "--shots", "1,5", "--seeds", "5")
    assert done.code == 0, done.err
    [found] = done.record["labels_withheld"]
    assert (found["shots"], found["head"], len(found["trials"])) == (5, "auto", 3)
    held_out = found["withheld"]  # plain-english: stored name
    assert [len(labels) for labels in held_out] == [2, 2, 2]
    assert len({tuple(labels) for labels in held_out}) > 1  # drawn again for each seed
    assert sum(found["histograms"][0]["strangers"]) == 3 * 2 * 5  # plain-english: stored name
    assert sum(found["histograms"][0]["known"]) == 3 * 4 * 5
    assert found["auroc"]["mean"] > 0.6
    assert 0 <= found["expected"]["mean"] <= 1
    assert "Held-out labels" in done.page
    assert "A third of the labels held out" in done.out
    assert max(map(len, done.out.splitlines()[:-1])) <= 80


def test_labels_are_not_held_out_with_unknown_inputs_nor_if_they_are_few(
    evaluate: Evaluate, drawings: Path, unknown: Path
) -> None:
    for data, arguments in ((drawings, ["--unknown", unknown]), (unknown, [])):
        done = evaluate(data, "--shots", "2", "--seeds", "2", *arguments)
        assert done.code == 0, done.err
        assert done.record["labels_withheld"] == []
        assert "Held-out labels" not in done.page


def test_unknown_inputs_inside_the_data_have_no_label(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    unknown = tmp_path / "data" / "char_5"
    done = evaluate(tmp_path / "data", "--unknown", unknown, "--shots", "2", "--seeds", "2")
    assert done.code == 0, done.err
    assert f"{unknown} lies in the data: its 10 inputs are used as unknown inputs, without a label" in done.err
    assert "char_5" not in done.record["data"]["labels"]
    assert done.record["data"]["strangers"]["inputs"] == 10  # plain-english: stored name
    (unknown / "more").mkdir()
    (unknown / "0.png").rename(unknown / "more" / "0.png")
    deeper = evaluate(tmp_path / "data", "--unknown", unknown / "more" / ".." / "more", "--shots", "2", "--seeds", "2")
    assert (deeper.code, deeper.record["data"]["inputs"]) == (0, 59)
    nothing = evaluate(tmp_path / "data", "--unknown", tmp_path)
    assert (nothing.code, "subfolders of" in nothing.err) == (1, True)


def test_columns_of_a_table_can_be_named(evaluate: Evaluate, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text(
        "\n".join(["label,intent,utterance", *(f"wrong,{label},{text}" for text, label in rows())]), "utf-8"
    )
    named = ["--label-column", "intent", "--text-column", "utterance"]
    done = evaluate(file, *named, "--shots", "2", "--seeds", "2")
    assert done.code == 0, done.err
    assert len(done.record["data"]["labels"]) == 16
    assert "--label-column intent --text-column utterance" in done.page
    strange = tmp_path / "strange.csv"
    strange.write_text("text\nthe weather\nmy old car\n", "utf-8")
    assert evaluate(file, *named, "--unknown", strange, "--shots", "2", "--seeds", "2").code == 0
    lacking = evaluate(file, "--text-column", "words")
    assert (
        "no column 'words'; it has label, intent, utterance — name the column of texts with --text-column"
        in lacking.err
    )
    assert "is a folder and has no columns" in evaluate(tmp_path, *named).err


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
    assert done.result(0, "auto+text")["accuracy"]["mean"] > 0.8  # the names alone are enough
    assert done.result(2)["accuracy"]["mean"] > 0.5


def test_pictures_named_by_a_table_are_in_its_folder(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "pictures")
    files = sorted((tmp_path / "pictures").rglob("*.png"))
    lines = ["image,label", *(f"{file.relative_to(tmp_path)},{file.parent.name}" for file in files)]
    (tmp_path / "data.csv").write_text("\n".join(lines), "utf-8")
    done = evaluate(tmp_path / "data.csv", "--shots", "2", "--seeds", "2")
    assert done.code == 0, done.err
    assert done.record["data"]["inputs"] == 60


def placed(drawings: Path, data: Path, places: str) -> Path:
    """Writes three characters in each place, with three drawings of each."""
    for number, place in enumerate(places):
        for folder in sorted(drawings.iterdir())[:3]:
            (data / place / folder.name).mkdir(parents=True)
            for copy in range(3 * number, 3 * number + 3):
                shutil.copy(folder / f"{copy}.png", data / place / folder.name)
    return data


def test_examples_of_one_domain_and_queries_of_each(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    done = evaluate(placed(drawings, tmp_path / "data", "ab"), "--domains", "--shots", "1", "--seeds", "2")
    assert done.code == 0, done.err
    found = {(one["taught_in"], one["asked_in"]): one for one in done.record["domains"]}
    assert set(found) == {(a, b) for a in "ab" for b in "ab"}
    assert found["a", "a"]["accuracy_centring"] is None
    for way in ("accuracy", "accuracy_centring", "accuracy_coral", "accuracy_leace"):
        assert found["a", "b"][way]["trials"] == 2
    assert found["a", "b"]["accuracy_gate"] is None
    assert "CENTRING" in done.out
    assert "GATE" not in done.out


def test_two_of_three_domains_give_examples_and_the_adaptation_is_selected(
    evaluate: Evaluate, drawings: Path, tmp_path: Path
) -> None:
    done = evaluate(placed(drawings, tmp_path / "data", "abc"), "--domains", "--shots", "1", "--seeds", "5")
    assert done.code == 0, done.err
    two = {one["asked_in"]: one for one in done.record["domains"] if one["taught_in"] == "two others"}
    assert set(two) == set("abc")
    for one in two.values():
        assert one["accuracy_gate"]["trials"] == sum(one["gate_kept"].values()) == 3  # seeds
        assert set(one["gate_kept"]) <= {"none", "centring", "coral", "leace"}
    assert "two others" in done.page
    assert "GATE" in done.out
    assert max(map(len, done.out.splitlines()[:-1])) <= 80


def test_unreadable_inputs_are_named_and_left_out(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    (tmp_path / "data" / "char_0" / "3.png").write_bytes(b"no picture")
    shutil.copy(tmp_path / "data" / "char_1" / "0.png", tmp_path / "data" / "char_1" / "copy.png")
    done = evaluate(tmp_path / "data", "--shots", "1", "--seeds", "2")
    assert done.code == 0, done.err
    assert "1 inputs of" in done.err
    assert "char_0/3.png: not recognised as a picture" in done.err
    assert "1 inputs are copies" in done.err
    assert done.record["data"]["inputs"] == 59
    assert list(done.record["data"]["unreadable"]) == [str(tmp_path / "data" / "char_0" / "3.png")]


def test_labels_with_few_inputs_give_all_but_one(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    for number in range(2, 10):
        (tmp_path / "data" / "char_0" / f"{number}.png").unlink()
    for number in range(1, 10):
        (tmp_path / "data" / "char_1" / f"{number}.png").unlink()
    done = evaluate(tmp_path / "data", "--shots", "4,16", "--seeds", "2", "--format", "csv")
    assert done.code == 0, done.err
    assert "1 labels have a single input" in done.err
    assert "shots 16: left out, as no label has more than 10 inputs" in done.err
    assert "shots 4: 1 of 5 labels have too few" in done.err


def test_errors_say_what_to_do(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    (tmp_path / "columns.csv").write_text("sentence,kind\na,b\n")
    (tmp_path / "unlabelled.csv").write_text("text,kind\na,b\n")
    (tmp_path / "lonely.csv").write_text("text,label\na,b\nc,d\n")
    (tmp_path / "one.csv").write_text("text,label\na,b\nc,b\n")
    (tmp_path / "broken.jsonl").write_text('{"text": "a", "label": "b"}\n{"text"\n')
    (tmp_path / "texts.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows()))
    (tmp_path / "empty").mkdir()
    tiny_image_bundle(tmp_path / "tiny")
    for data, arguments, message in (
        ("columns.csv", [], "no column 'path' or 'image' or 'text'; it has sentence, kind"),
        ("unlabelled.csv", [], "no column 'label'; it has text, kind"),
        ("lonely.csv", [], "no label has two examples"),
        ("one.csv", [], "only the label 'b' has two examples"),
        ("broken.jsonl", [], "no label has two examples"),
        ("broken.jsonl", [], "broken.jsonl:2: not JSON"),
        ("missing", [], "there is no file or folder"),
        ("empty", [], "has no subfolders to take labels from"),
        ("texts.csv", ["--backbone", tmp_path / "tiny"], "backbone 'tiny-image' reads image, but the data are texts"),
        ("texts.csv", ["--backbone", "nothing"], "nothing: there is no such bundle"),
        ("texts.csv", ["--backbone", tmp_path / "empty"], "backbone.json: is missing"),
        ("texts.csv", ["--unknown", drawings], "holds images, but the data are texts"),
        ("texts.csv", ["--shots", "50"], "no label has more than 8 inputs"),
    ):
        done = evaluate(tmp_path / data, *arguments)
        assert done.code == 1, data
        assert message in done.err
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
    assert "pip install 'glimpse-fewshot[server,evaluate]'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_transfer_is_compared_with_raw_pixels(evaluate: Evaluate, drawings: Path) -> None:
    done = evaluate(drawings, "--shots", "1,2,4", "--seeds", "4", "--baseline")
    assert done.code == 0, done.err
    [found] = done.record["transfer"]
    assert (found["backbone"], found["shots"]) == ("glimpse-mini", [1, 2, 4])
    without = {one["shots"]: [trial["accuracy"] for trial in one["trials"]] for one in done.record["baseline"]}
    own = {shots: [trial["accuracy"] for trial in done.result(shots)["trials"]] for shots in (1, 4)}
    for benefit, shots in (("start", 1), ("asymptote", 4)):
        gaps = [a - b for a, b in zip(own[shots], without[shots], strict=True)]
        assert found[benefit]["gain"]["mean"] == pytest.approx(sum(gaps) / 4)
        assert found[benefit]["gain"]["low"] > 0
    assert {one["backbone"] for one in done.record["baseline"]} == {"raw pixels"}
    assert all(one["backbone"] == "glimpse-mini" for one in done.record["results"])
    assert "With transfer, and without it: raw pixels" in done.out
    assert max(map(len, done.out.splitlines()[:-1])) <= 80
    section = done.page[done.page.index("What transfer brings") :]
    figure = base64.b64decode(section.partition("base64,")[2].partition('"')[0]).decode()
    for benefit in ("start", "asymptote"):
        assert f"{benefit} {100 * found[benefit]['gain']['mean']:+.1f}" in figure
    assert f"slope {100 * found['slope']['transfer']['mean']:.1f}" in figure
    assert "no transfer: raw pixels" in figure
    assert "--baseline" in done.page
    plain = evaluate(drawings, "--shots", "1,2,4", "--seeds", "4")
    assert (plain.record["baseline"], plain.record["transfer"]) == ([], [])
    assert plain.record["results"][0]["accuracy"] == done.record["results"][0]["accuracy"]


def test_transfer_is_compared_with_a_bag_of_words(evaluate: Evaluate, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("\n".join(["label,text", *(f'{label},"{text}"' for text, label in rows())]), "utf-8")
    done = evaluate(file, "--shots", "0,1,4", "--seeds", "3", "--baseline")
    assert done.code == 0, done.err
    assert [one["shots"] for one in done.record["baseline"]] == [1, 4]
    assert {one["backbone"] for one in done.record["baseline"]} == {"bag of words"}
    names = evaluate(file, "--shots", "0", "--seeds", "3", "--baseline")
    assert "no baseline: without transfer, labels need examples" in names.err
