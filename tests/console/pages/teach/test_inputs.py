"""Examples of dropped files and pasted texts."""

import unicodedata

import pytest

from glimpse.client import Image, Text
from glimpse.console.components import Upload
from glimpse.console.pages.teach.inputs import Teaching, resolve_label, sort_uploads, split_texts


def test_a_chosen_label_goes_before_the_folder() -> None:
    files = [Upload("shapes/star/1.png", b"1"), Upload("2.png", b"2")]
    assert [one.label for one in sort_uploads(files, "moon").taught] == ["moon", "moon"]


def test_without_a_label_the_innermost_folder_is_the_label() -> None:
    files = [Upload("shapes/star/1.png", b"1"), Upload("moon/2.png", b"2"), Upload("3.png", b"3")]
    uploads = sort_uploads(files, "")
    assert uploads.taught == (Teaching("shapes/star/1.png", "star", b"1"), Teaching("moon/2.png", "moon", b"2"))
    assert uploads.unlabelled == ("3.png",)


def test_a_folder_is_spelled_as_the_server_spells_labels() -> None:
    apart = unicodedata.normalize("NFD", "é")
    assert len(apart) == 2
    [taught] = sort_uploads([Upload(f"x/ {apart} /1.png", b"1")], "").taught
    assert taught.label == "é"


def test_text_files_are_texts() -> None:
    files = [Upload("a/1.TXT", b"\xef\xbb\xbfhello"), Upload("a/2.txt", b"\xff\xfe"), Upload("a/txt", b"picture")]
    uploads = sort_uploads(files, "")
    assert [one.content for one in uploads.taught] == ["hello", b"picture"]
    assert uploads.unreadable == ("a/2.txt",)
    assert [one.example().content for one in uploads.taught] == [Text("hello"), Image(b"picture")]


@pytest.mark.parametrize(
    ("by_line", "texts"),
    [(True, ["one", "two words", "three"]), (False, ["one\n\n two words \nthree"])],
)
def test_a_paste_is_one_text_or_one_for_each_line(by_line: bool, texts: list[str]) -> None:
    taught = split_texts("one\n\n two words \nthree\n", "l", by_line=by_line)
    assert [one.content for one in taught] == texts
    assert not split_texts(" \n \n", "l", by_line=by_line)


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("star", "star"),
        (" Star of David ", "star"),
        ("moon", "moon"),
        ("Twice", "Twice"),
        ("new", "new"),
        ("  ", ""),
    ],
)
def test_a_label_is_found_by_its_id_or_by_its_name(typed: str, label: str) -> None:
    names = {"star": "Star of David", "moon": "", "a": "Twice", "b": "Twice"}
    assert resolve_label(typed, names) == label


def test_an_id_goes_before_the_name_of_another_label() -> None:
    assert resolve_label("star", {"star": "", "moon": "star"}) == "star"
