"""Tests that the page is self-contained and safe for any names in the data."""

import base64
import csv
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from support.bundles import tiny_image_bundle

from ..conftest import Done, Evaluate

_VOID = {"meta", "img", "br"}
_HOSTILE = "<script>alert('&\"')</script>".replace("/", "∕")  # a folder's name cannot contain a slash


class Page(HTMLParser):
    """Checks nesting, and collects what the page loads and displays."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wide: list[int] = []  # depth of elements that scroll sideways
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.columns: list[list[bool]] = []  # per table: which columns hold words
        self.text = ""
        self.first = ""  # the first text
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "table":
            assert self.wide[-1:] == [len(self.open)]  # directly inside an element that scrolls
            self.columns.append([])
        if tag == "th":
            self.columns[-1].append(dict(attrs).get("class") == "text")
        if dict(attrs).get("class") == "wide":
            self.wide.append(len(self.open) + 1)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "body" in self.open and data.strip():
            self.first = self.first or data
        self.text += data


def hostile(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> Done:
    """Runs an evaluation in which one label's name is a script and a backbone makes mistakes."""
    shutil.copytree(drawings, tmp_path / "data")
    (tmp_path / "data" / "char_0").rename(tmp_path / "data" / _HOSTILE)
    (tmp_path / "data" / "char_1").rename(tmp_path / "data" / "$costs 5$ 漢字")
    tiny_image_bundle(tmp_path / "tiny")
    backbones = ["--backbone", tmp_path / "tiny", "--backbone", "glimpse-mini"]
    done = evaluate(tmp_path / "data", *backbones, "--shots", "1,2", "--seeds", "2")
    assert done.code == 0, done.err
    return done


def test_the_page_is_whole_and_loads_nothing(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    done = hostile(evaluate, drawings, tmp_path)
    page = Page(done.page)
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(", done.page)
    assert _HOSTILE in page.text
    for title in ("Accuracy", "Can the probabilities be trusted?", "Most certain mistakes", "How it was measured"):
        assert title in page.text
    assert page.first == done.record["verdict"]
    assert ".wide { overflow-x: auto; }" in done.page
    assert "overflow-wrap: anywhere" in done.page


def test_pictures_in_the_page_can_be_read(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    sources = Page(hostile(evaluate, drawings, tmp_path).page).sources
    contents = [source.split(",", 1) for source in sources]
    plots = [base64.b64decode(content) for head, content in contents if "svg" in head]
    assert len(plots) >= 4
    texts = ["".join(ElementTree.fromstring(plot).itertext()) for plot in plots]
    assert any("$costs 5$ 漢字" in text for text in texts)  # verbatim, not as mathematical markup
    thumbnails = [base64.b64decode(content) for head, content in contents if "jpeg" in head]
    assert 0 < len(thumbnails) <= 2 * 24
    for content in thumbnails:
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= 96


def test_every_table_fits_a_page_and_no_plot_has_a_title(
    evaluate: Evaluate, drawings: Path, unknown: Path, tmp_path: Path
) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    backbones = ["--backbone", tmp_path / "tiny", "--backbone", "glimpse-mini"]
    done = evaluate(drawings, *backbones, "--shots", "1,2", "--seeds", "2", "--unknown", unknown)
    assert done.code == 0, done.err
    page = Page(done.page)
    assert len(page.columns) >= 6
    # A number with its interval takes 102 px, words can wrap: with this many columns a table has 1,000 px at most.
    assert all(columns.count(False) <= 7 for columns in page.columns)
    assert "th { overflow-wrap: normal; }" in done.page
    plots = [base64.b64decode(source.split(",", 1)[1]) for source in page.sources if "svg" in source]
    assert len(plots) >= 5
    named = [plot for plot in plots if "glimpse-mini" in "".join(ElementTree.fromstring(plot).itertext())]
    assert len(named) == 1  # the legend of the accuracy plot; headings of the page name the other plots
    for name in ("glimpse-mini", "tiny-image"):
        assert done.page.count(f"<h3>{name}</h3>") == 2


def test_every_label_has_its_figures(evaluate: Evaluate, drawings: Path, tmp_path: Path) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    done = evaluate(drawings, "--backbone", tmp_path / "tiny", "--shots", "1", "--seeds", "3", "--format", "csv")
    assert done.code == 0, done.err
    [row] = csv.DictReader(io.StringIO(done.out, newline=""), strict=True)
    assert (row["backbone"], row["head"], row["shots"]) == ("tiny-image", "auto", "1")
    assert float(row["accuracy.mean"]) == done.result(1, backbone="tiny-image")["accuracy"]["mean"]
    found = done.record["mistakes"]["tiny-image"]
    labels = found["labels"]
    assert {one["label"] for one in labels} == {f"char_{number}" for number in range(6)}
    asked = sum(one["asked"] for one in labels)
    assert asked == 3 * 6 * 9
    right = sum(one["asked"] * one["recall"] for one in labels)
    assert right == pytest.approx(asked - sum(one["count"] for one in found["confusions"]))
    assert right / asked == pytest.approx(done.result(1, backbone="tiny-image")["accuracy"]["mean"])
    assert [one["recall"] for one in labels] == sorted(one["recall"] for one in labels)
    assert all(one["taken_for"] for one in labels if one["recall"] < 1)
    assert "Label by label" in done.page
