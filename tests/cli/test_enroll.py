import shutil
from pathlib import Path

from .conftest import Run


def test_a_folder_of_folders_is_enrolled_by_its_names(run: Run, colours: Path) -> None:
    done = run("enroll", "by-name", colours, "--create")
    assert done.code == 0
    assert done.out.split() == ["enrolled", "24", "duplicates", "0", "conflicts", "0", "failures", "0"]
    labels = run("labels", "list", "by-name", "--format", "json").objects
    assert [(one["id"], one["examples"]) for one in labels] == [(c, 6) for c in ("blue", "green", "red", "white")]


def test_enrolling_again_changes_nothing(run: Run, collection: str, colours: Path) -> None:
    assert run("enroll", collection, colours).out.split()[:4] == ["enrolled", "0", "duplicates", "24"]


def test_files_need_a_label(run: Run, collection: str, colours: Path) -> None:
    done = run("enroll", collection, colours / "red" / "0.png")
    assert done.code == 1
    assert "give one with --label" in done.err
    assert done.err.count("\n") == 1


def test_the_same_content_under_another_label_is_told(run: Run, collection: str, colours: Path) -> None:
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


def test_lines_bring_their_own_labels(run: Run, tmp_path: Path) -> None:
    lines = '{"text": "red", "label": "warm", "id": "first"}\n\n{"text": "blue", "label": "cold"}\n'
    (tmp_path / "colours.jsonl").write_text(lines)
    done = run("enroll", "lines", "colours.jsonl", "--create", "--format", "json")
    assert [(one["input"], one["label"]) for one in done.objects] == [("first", "warm"), ("colours.jsonl:3", "cold")]
    assert run("classify", "lines", "--text", "blue", "--format", "json").objects[0]["label"] == "cold"


def test_what_a_folder_has_beside_its_labels_is_told(run: Run, colours: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(colours / "red", folder / "red")
    shutil.copytree(colours / "blue", folder / ".hidden")
    shutil.copy(colours / "blue" / "0.png", folder)
    (folder / "notes.txt").write_text("not a picture")
    for name in ("empty", "later"):
        (folder / name).mkdir()
    done = run("enroll", "mixed", folder, "--create")
    assert done.code == 0
    assert done.err == (
        f"left out in {folder}: 1 picture beside the label folders; 2 label folders without a picture (empty, later)\n"
    )
    assert [one["id"] for one in run("labels", "list", "mixed", "--format", "json").objects] == ["red"]


def test_missing_things_say_what_to_do(run: Run, colours: Path, tmp_path: Path) -> None:
    assert "add --create" in run("enroll", "nowhere", colours).err
    assert "there is no file" in run("enroll", "nowhere", "gone.png", "--label", "x").err
    assert "no subfolders" in run("enroll", "nowhere", tmp_path).err
    assert "nothing to read" in run("enroll", "nowhere").err


def test_another_backbone_than_the_collections_is_refused(run: Run, collection: str, colours: Path) -> None:
    done = run("enroll", collection, colours, "--backbone", "other")
    assert done.code == 1
    assert "bound to backbones/toy" in done.err
