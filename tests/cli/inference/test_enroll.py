"""Tests of `glimpse enroll`."""

import re
import shutil
from pathlib import Path

import pytest

from glimpse.cli.common.input_reader import Source
from glimpse.cli.inference.example_files import file_metadata
from glimpse.v1 import collection_service_pb2 as pb
from support.pictures import picture

from ..conftest import Run
from ..fake_server import FakeServer


def test_subfolder_names_are_the_labels_of_examples(run: Run, colours: Path) -> None:
    done = run("enroll", "by-name", colours, "--create")
    assert done.code == 0
    record = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert (record["enrolled"], record["duplicates"], record["conflicts"], record["failures"]) == ("24", "0", "0", "0")
    labels = run("labels", "list", "by-name", "--format", "json").objects
    assert [(one["id"], one["examples"]) for one in labels] == [(c, 6) for c in ("blue", "green", "red", "white")]


def test_enrolling_again_changes_nothing(run: Run, collection: str, colours: Path) -> None:
    assert run("enroll", collection, colours).out.split()[:4] == ["enrolled", "0", "duplicates", "24"]


def test_files_need_a_label(run: Run, collection: str, colours: Path) -> None:
    done = run("enroll", collection, colours / "red" / "0.png")
    assert done.code == 1
    assert "give one with --label" in done.err
    assert done.err.count("\n") == 1


def test_the_same_content_under_another_label_is_a_conflict(run: Run, collection: str, colours: Path) -> None:
    done = run("enroll", collection, colours / "red" / "0.png", "--label", "green")
    assert done.code == 0
    assert "conflict:" in done.err
    assert "'red'" in done.err


def test_json_is_an_object_an_input_and_failures_count(
    run: Run, collection: str, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = run(
        "enroll", collection, colours / "red" / "0.png", tmp_path / "bad.png", "--label", "red", "--format", "json"
    )
    assert done.code == 1
    good, bad = done.objects
    assert good["duplicate"] is True
    assert good["example"].startswith(f"collections/{collection}/examples/")
    assert bad["error"]["code"] == "INVALID_ARGUMENT"


def test_json_lines_have_their_own_labels(run: Run, tmp_path: Path) -> None:
    lines = '{"text": "red", "label": "warm", "id": "first"}\n\n{"text": "blue", "label": "cold"}\n'
    (tmp_path / "colours.jsonl").write_text(lines)
    done = run("enroll", "lines", "colours.jsonl", "--create", "--format", "json")
    assert [(one["input"], one["label"]) for one in done.objects] == [("first", "warm"), ("colours.jsonl:3", "cold")]
    assert run("classify", "lines", "--text", "blue", "--format", "json").objects[0]["label"] == "cold"


def test_files_next_to_label_folders_are_reported(run: Run, colours: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(colours / "red", folder / "red")
    shutil.copytree(colours / "blue", folder / ".hidden")
    shutil.copy(colours / "blue" / "0.png", folder)
    (folder / "notes.txt").write_text("not a picture")
    for name in ("empty", "later"):
        (folder / name).mkdir()
    done = run("enroll", "mixed", folder, "--create")
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        f"left out in {folder}: 1 input beside the label folders; 2 label folders without an input (empty, later); "
        "1 .txt not read"
    )
    assert done.err.count("left out") == 1
    assert [one["id"] for one in run("labels", "list", "mixed", "--format", "json").objects] == ["red"]


def test_errors_for_missing_inputs_say_what_to_do(run: Run, colours: Path, tmp_path: Path) -> None:
    assert "add --create" in run("enroll", "nowhere", colours).err
    assert "gone.png: no such file" in run("enroll", "nowhere", "gone.png", "--label", "x").err
    assert "no subfolders" in run("enroll", "nowhere", tmp_path).err
    assert "nothing to read" in run("enroll", "nowhere").err


def test_a_backbone_that_differs_from_the_collections_is_rejected(run: Run, collection: str, colours: Path) -> None:
    done = run("enroll", collection, colours, "--backbone", "other")
    assert done.code == 1
    assert "uses backbones/toy" in done.err


def like(example: str, label: str, similarity: float) -> pb.SimilarExample:
    return pb.SimilarExample(example=f"collections/birds/examples/{example}", label_id=label, similarity=similarity)


def test_findings_are_printed_most_serious_first(ask: Run, fake: FakeServer) -> None:
    conflicts = [like("a", "wren", 0.98), like("b", "wren", 0.99), like("c", "owl", 1.0)]
    fake.result = pb.EnrollResult(
        example=pb.Example(name="collections/birds/examples/new"),
        conflicts=conflicts,
        near_duplicates=[like("old", "robin", 0.991)],
        outlier=True,
    )
    done = ask("enroll", "birds", "--text", "tjip", "--label", "robin")
    assert done.code == 0
    assert done.err.splitlines() == [
        "conflict: tjip is 'robin', but almost equal to an example of 'owl' (1.000), 'wren' (0.990)",
        "outlier: tjip is far from the other examples of 'robin'; check its label",
        "near duplicate: tjip is almost equal to old (0.991), also 'robin'",
    ]
    record = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert record == dict.fromkeys(("enrolled", "near_duplicates", "conflicts", "outliers"), "1") | dict.fromkeys(
        ("duplicates", "failures"), "0"
    )
    [found] = ask("enroll", "birds", "--text", "tjip", "--label", "robin", "--format", "json").objects
    near = {"example": "collections/birds/examples/old", "label": "robin", "similarity": 0.991}
    assert (found["near_duplicates"], found["outlier"], len(found["conflicts"])) == ([near], True, 3)


def test_a_pair_of_near_duplicates_is_reported_once(run: Run, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(picture((200, 30, number)))
    run("collections", "create", "twins")
    once = run("enroll", "twins", tmp_path, "--label", "red", "--create")
    assert once.err.count("near duplicate") == 1
    again = run("enroll", "twins", tmp_path, "--label", "red")
    assert again.err.count("near duplicate") == 1
    counts = dict(line.split(maxsplit=1) for line in again.out.splitlines())
    assert (counts["duplicates"], counts["near_duplicates"]) == ("2", "1")


def test_newly_kept_originals_are_counted(run: Run, colours: Path) -> None:
    run("enroll", "kept", colours, "--create")
    assert "originals kept" not in run("enroll", "kept", colours).out
    run("collections", "update", "kept", "--keep-inputs")
    again = run("enroll", "kept", colours).out
    assert re.search(r"^duplicates +24$", again, re.M)
    assert re.search(r"^originals kept +24$", again, re.M)
    third = run("enroll", "kept", colours, "--format", "json").objects
    assert [one["original_kept"] for one in third] == [False] * 24, "they are kept already"


def test_other_examples_are_named_by_their_files(ask: Run, fake: FakeServer) -> None:
    conflicts = [like("a", "wren", 0.98), like("c", "owl", 1.0)]
    fake.result = pb.EnrollResult(conflicts=conflicts, near_duplicates=[like("old", "robin", 0.991)])
    fake.files = {f"collections/birds/examples/{one}": f"birds/{one}.png" for one in ("a", "c", "old")}
    assert ask("enroll", "birds", "--text", "tjip", "--label", "robin").err.splitlines() == [
        "conflict: tjip is 'robin', but almost equal to an example of 'owl' (1.000, birds/c.png), 'wren' (0.980)",
        "near duplicate: tjip is almost equal to birds/old.png (0.991), also 'robin'",
    ]
    fake.files["collections/birds/examples/old"] = ""  # enrolled as a text
    assert "is almost equal to old (0.991)" in ask("enroll", "birds", "--text", "tjip", "--label", "robin").err


def test_files_are_requested_only_for_printed_findings(ask: Run, fake: FakeServer, tmp_path: Path) -> None:
    fake.result = pb.EnrollResult(near_duplicates=[like("old", "robin", 1.0)])
    (tmp_path / "calls.txt").write_text("tjip\n" * 40)
    ask("enroll", "birds", "calls.txt", "--label", "robin")
    assert len(fake.asked_for) == 10


def test_a_files_name_is_kept_with_its_example(run: Run, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "white.txt").write_text("white\n")
    assert run("enroll", "files", colours / "red", "white.txt", "--label", "red", "--create").code == 0
    found = run("examples", "list", "files", "--format", "json").objects
    kept = [one["metadata"] for one in found]
    assert kept == [*({"file": str(colours / "red" / f"{number}.png")} for number in range(6)), {}]
    record = run("enroll", "files", colours / "red" / "3.png", "--label", "white", "--create").err
    assert f"'red' (1.000, {colours / 'red' / '3.png'})" in record
    run("collections", "delete", "files", "--force")


def test_the_end_of_a_long_path_is_kept_and_invalid_bytes_are_replaced() -> None:
    long = Path("/".join(["folder"] * 200), "robin.png")
    assert file_metadata(Source("x", long, "robin")) == {"file": str(long)[-1024:]}
    assert file_metadata(Source("x", Path("robin\udcff.png"), "robin")) == {"file": "robin\ufffd.png"}


def test_ten_findings_are_printed_and_the_others_counted(ask: Run, fake: FakeServer, tmp_path: Path) -> None:
    fake.result = pb.EnrollResult(near_duplicates=[like("old", "robin", 1.0)], outlier=True, example=pb.Example())
    (tmp_path / "calls.txt").write_text("tjip\n" * 40)
    lines = ask("enroll", "birds", "calls.txt", "--label", "robin").err.splitlines()
    assert [line.split(":")[0] for line in lines[:10]] == ["outlier"] * 10
    assert lines[10:] == ["and 70 more"]


def test_accuracy_is_measured_with_the_last_batch_and_shown_with_the_earlier_one(
    ask: Run, fake: FakeServer, tmp_path: Path
) -> None:
    fake.result = pb.EnrollResult(example=pb.Example())
    (tmp_path / "calls.txt").write_text("tjip\n" * 70)
    fake.accuracies = [{"accuracy_before": 0.842}, {"accuracy_before": 0.1}, {"accuracy_before": 0.1} | AFTER]
    done = ask("enroll", "birds", "calls.txt", "--label", "robin")
    assert [request.measure_accuracy for request in fake.enrolled] == [False, False, True]
    assert done.out.splitlines()[-1] == "leave-one-out accuracy  84.2 % → 85.0 %"
    fake.accuracies = [{}, {}, AFTER]
    assert ask("enroll", "birds", "calls.txt", "--label", "robin").out.endswith("accuracy  85.0 %\n")
    fake.accuracies = [{"accuracy_before": 0.842}]
    assert "accuracy" not in ask("enroll", "birds", "calls.txt", "--label", "robin").out
    fake.accuracies = [{"accuracy_before": 0.842}, {}, AFTER]
    *others, last = ask("enroll", "birds", "calls.txt", "--label", "robin", "--format", "json").objects
    assert (last["accuracy_before"], last["accuracy_after"]) == (0.842, 0.85)
    assert not any("accuracy_after" in one for one in others)


AFTER = {"accuracy_after": 0.85}


def test_the_domain_of_examples_is_sent(ask: Run, fake: FakeServer) -> None:
    ask("enroll", "birds", "--text", "tjip", "--label", "robin", "--domain", "garden")
    assert [one.domain for one in fake.enrolled[0].examples] == ["garden"]


def test_the_groups_of_folders_and_tables_are_sent(ask: Run, fake: FakeServer, tmp_path: Path) -> None:
    for name in ("robin/clip 1/a.txt", "robin/clip 1/b.txt", "robin/c.txt"):
        (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "calls" / name).write_text(name)
    ask("enroll", "birds", tmp_path / "calls", "--group-depth", 2)
    assert [one.group for one in fake.enrolled[0].examples] == ["", "robin/clip 1", "robin/clip 1"]
    (tmp_path / "t.csv").write_text("text,label,page\na,robin,7\nb,robin,\n")
    ask("enroll", "birds", tmp_path / "t.csv", "--group-column", "page")
    assert [one.group for one in fake.enrolled[1].examples] == ["7", ""]


@pytest.mark.parametrize(
    ("option", "role"), [("--negative", pb.LABEL_ROLE_NEGATIVE), ("--unlabeled", pb.LABEL_ROLE_UNLABELED)]
)
def test_a_missing_label_is_created_with_its_role(ask: Run, fake: FakeServer, option: str, role: int) -> None:
    fake.result = pb.EnrollResult(example=pb.Example())
    for _ in range(2):
        assert ask("enroll", "birds", "--text", "noise", "--label", "none", option).code == 0
    assert fake.roles == {"none": role}
    assert len(fake.enrolled) == 2


def test_inputs_like_negative_examples_are_unknown(run: Run, colours: Path) -> None:
    for colour in ("red", "blue"):
        assert run("enroll", "some", colours / colour, "--label", colour, "--create").code == 0
    assert run("enroll", "some", colours / "green", "--label", "none", "--negative").code == 0
    assert run("labels", "show", "some", "none", "--format", "json").objects[0]["role"] == "negative"
    found = run("classify", "some", colours / "green" / "0.png", colours / "red" / "0.png", "--format", "json").objects
    assert [one["decision"] for one in found] == ["UNKNOWN", "MATCH"]
    refused = run("enroll", "some", colours / "white", "--label", "red", "--negative")
    assert (refused.code, "the role class" in refused.err) == (1, True)
    run("collections", "delete", "some", "--force")


@pytest.mark.parametrize("role", [pb.LABEL_ROLE_UNSPECIFIED, pb.LABEL_ROLE_CLASS, pb.LABEL_ROLE_UNLABELED])
def test_negative_examples_are_not_enrolled_under_a_label_of_another_role(
    ask: Run, fake: FakeServer, role: int
) -> None:
    fake.roles["none"] = role
    done = ask("enroll", "birds", "--text", "noise", "--label", "none", "--negative")
    shown = "unlabeled" if role == pb.LABEL_ROLE_UNLABELED else "class"
    assert done.code == 1
    assert f"the label 'none' exists with the role {shown}, not negative" in done.err
    assert "--label" in done.err
    assert not fake.enrolled


def test_roles_exclude_each_other(ask: Run, fake: FakeServer) -> None:
    assert ask("enroll", "birds", "--text", "x", "--label", "none", "--negative", "--unlabeled").code == 2
    assert not fake.enrolled
