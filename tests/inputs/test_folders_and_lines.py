"""Tests of the rules for files of a folder, line ends, columns and labels."""

import os
import unicodedata
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from glimpse.inputs import (
    PICTURES,
    Columns,
    Entry,
    InputsError,
    Skipped,
    Unreadable,
    formats,
    kind_of,
    open_table,
    picture_suffixes,
    read_folder,
    read_labelled,
    read_lines,
    walk,
)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_suffixes_are_those_of_the_formats_that_the_decoder_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    read = decoded_formats()
    suffixes = {suffix for suffix, format_ in Image.EXTENSION.items() if format_ in read}
    assert suffixes - formats.HEIF <= picture_suffixes() == PICTURES
    assert {".jfif", ".jpe", ".j2k", ".apng", ".avif"} <= PICTURES
    assert not PICTURES & {".ico", ".eps", ".psd", ".icns", ".cur", ".heic"}
    unread = {suffix for suffix in PICTURES if Image.EXTENSION.get(suffix) not in read}
    assert unread <= {".mpo", ".avif", ".avifs"}  # some builds of Pillow lack these
    monkeypatch.setattr(formats, "find_spec", lambda _: True)
    assert ".heic" in picture_suffixes()


def decoded_formats() -> set[str]:
    """Returns Pillow's names of the formats that the backbone's decoder reads."""
    if find_spec("glimpse.backbone.images.formats"):
        is_read = import_module("glimpse.backbone.images.formats").is_read
        return {name for name in Image.OPEN if is_read(name)}
    return set(import_module("glimpse.backbone.images.preprocess")._FORMATS)


def test_hidden_files_are_skipped_at_every_depth_and_others_are_counted(tmp_path: Path) -> None:
    hidden = [".ipynb_checkpoints/dog.jpg", "._1.jpg", "@eaDir/1.jpg", "__MACOSX/cat/._1.jpg", "deep/.git/1.png"]
    other = ["1.psd", "notes.txt", "deep/more.TXT", "README"]
    folder = fill(tmp_path / "cat", "1.jpg", "deep/2.JFIF", *hidden, *other)
    (folder / "deep" / "round").symlink_to(folder)
    (folder / "linked").symlink_to(fill(tmp_path / "elsewhere", "3.png"))
    skipped = Skipped()
    found = [one.parts for one in walk(folder, PICTURES, skipped) if not isinstance(one, Unreadable)]
    assert found == [("1.jpg",), ("deep", "2.JFIF"), ("linked", "3.png")]
    assert str(skipped) == "2 .txt, 1 .psd, 1 without a suffix not read; 1 link in a circle not followed"


def test_labels_of_folders_come_in_one_form_and_bad_names_are_one_line(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", "café"), "café ", "tea"]
    folder = fill(tmp_path / "data", *(f"{name}/1.png" for name in names), "empty/x.md", "beside.png")
    bad = os.fsdecode(b"\xe9t\xe9")
    fill(folder, f"{bad}/1.png", f"{bad}/2.png")
    skipped = Skipped()
    found = list(read_labelled(folder, kind_of(folder), skipped))
    assert sorted(one.label or "" for one in found if isinstance(one, Entry)) == ["café", "café", "tea"]
    [problem] = [one for one in found if isinstance(one, Unreadable)]
    assert problem.source == f"{folder}/\\xe9t\\xe9"
    assert "not UTF-8; its 2 files are left out" in problem.message
    assert str(skipped) == "1 input beside the label folders; 1 label folder without an input (empty); 1 .md not read"


@pytest.mark.parametrize("with_domains", [False, True])
def test_a_link_to_a_parent_folder_adds_no_inputs_to_a_label(tmp_path: Path, with_domains: bool) -> None:
    folder = fill(tmp_path / "data", "cat/1.png", "dog/2.png", "Thumbs.db")
    source = tmp_path if with_domains else folder
    (folder / "cat" / "up").symlink_to(source)
    (folder / "all").symlink_to(source)
    skipped = Skipped()
    found = list(read_labelled(source, "image", skipped, with_domains=with_domains))
    assert [(one.label, Path(one.source).name) for one in found if isinstance(one, Entry)] == [
        ("cat", "1.png"),
        ("dog", "2.png"),
    ]
    assert str(skipped) == "1 label folder without an input (all); 2 links in a circle not followed"


def test_lines_end_at_lf_crlf_and_cr_alone(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes("\ufeffone\r\ntwo\rthree\u2028still\x85this\x0cline\nfour".encode())
    assert [(one.source[-1], one.content) for one in read_lines(file) if isinstance(one, Entry)] == [
        *(("1", "one"), ("2", "two"), ("3", "three\u2028still\x85this\x0cline"), ("4", "four"))
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_and_their_names_may_have_spaces_around_them(tmp_path: Path, end: str) -> None:
    file = tmp_path / "t.csv"
    rows = ["\ufeffpath, label , id", '1.png, "cat, or so" , 7', "2.png,dog ,8", ""]
    file.write_bytes(end.join(rows).encode())
    found = [one for one in open_table(file, Columns()).read() if isinstance(one, Entry)]
    assert [(one.id, one.source, one.label) for one in found] == [
        ("7", f"{tmp_path}/1.png", "cat, or so"),
        ("8", f"{tmp_path}/2.png", "dog"),
    ]


def test_named_columns_must_exist_and_misspelt_columns_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,Labels\na,b\n")
    assert open_table(file, Columns()).warning.endswith("did you mean 'Labels'? Then add --label-column Labels")
    assert not open_table(file, Columns(label="Labels")).warning
    with pytest.raises(InputsError, match="no column 'lables'; it has text, Labels") as caught:
        open_table(file, Columns(label="lables"))
    assert caught.value.next_step == "did you mean 'Labels'?"
    with pytest.raises(InputsError, match="no column 'label'; it has text, Labels") as caught:
        open_table(file, Columns(), required=("label",))
    assert caught.value.next_step == "did you mean 'Labels'? Then add --label-column Labels"
    file.write_text("text,intent\na,b\nc,\n")
    assert not open_table(file, Columns()).warning
    first, second = open_table(file, Columns(label="intent"), required=("label",)).read()
    assert isinstance(first, Entry)
    assert isinstance(second, Unreadable)
    assert (second.reason, second.message) == ("LABEL_MISSING", "'intent' is empty")


def test_a_lone_surrogate_fails_its_own_row(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "a"}\n{"text": "\\ud83d!"}\n"c"\n')
    first, second, third = open_table(file, Columns(), needs_ids=False).read()
    assert isinstance(second, Unreadable)
    assert second.message == "'text' is not UTF-8: '\\ud83d!'"
    assert [one.content for one in (first, third) if isinstance(one, Entry)] == ["a", "c"]


def test_files_of_a_folder_at_the_group_depth_are_one_group(tmp_path: Path) -> None:
    names = ["cat/clip 1/a.png", "cat/clip 1/deep/b.png", "cat/clip 2/c.png", "cat/d.png", "dog/clip 1/e.png"]
    folder = fill(tmp_path / "data", *names)
    found = [one for one in read_labelled(folder, "image", Skipped(), group_depth=2) if isinstance(one, Entry)]
    assert [(Path(one.source).stem, one.group) for one in found] == [
        ("a", "cat/clip 1"),
        ("b", "cat/clip 1"),
        ("c", "cat/clip 2"),
        ("d", None),
        ("e", "dog/clip 1"),
    ]
    by_domain = list(read_labelled(tmp_path, "image", Skipped(), with_domains=True, group_depth=3))
    assert by_domain[0].group == "data/cat/clip 1"  # type: ignore[union-attr]
    unlabelled = list(read_folder(folder, "image", Skipped(), group_depth=1))
    assert [one.group for one in unlabelled if isinstance(one, Entry)] == ["cat"] * 4 + ["dog"]
    assert not any(one.group for one in read_labelled(folder, "image", Skipped()) if isinstance(one, Entry))


def test_a_table_has_groups_in_one_form(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"text,label,group,clip\na,x,{unicodedata.normalize('NFD', 'café')} ,7\nb,x,,8\n")
    groups = [one.group for one in open_table(tmp_path / "t.csv", Columns()).read() if isinstance(one, Entry)]
    assert groups == ["café", None]
    other = open_table(tmp_path / "t.csv", Columns(group="clip")).read()
    assert [one.group for one in other if isinstance(one, Entry)] == ["7", "8"]
    with pytest.raises(InputsError, match="has no column 'shot'"):
        open_table(tmp_path / "t.csv", Columns(group="shot"))
    (tmp_path / "long.csv").write_text(f"text,group\na,{'x' * 257}\n")
    [problem] = open_table(tmp_path / "long.csv", Columns()).read()
    assert isinstance(problem, Unreadable)
    assert problem.reason == "GROUP_INVALID"
