"""`glimpse classify` with a region of each picture, and with several pictures of one thing."""

import uuid
from pathlib import Path

import pytest
from PIL import Image

from ..conftest import Run


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a picture that is red on the left and blue on the right."""
    file = tmp_path_factory.mktemp("halves") / "halves.png"
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    image.save(file)
    return file


@pytest.fixture
def collection(run: Run, colours: Path) -> str:
    name = f"views-{uuid.uuid4().hex[:8]}"
    assert run("collections", "create", name).code == 0
    assert run("enroll", name, colours, "--create").code == 0
    return name


def test_a_region_is_the_part_of_the_picture_that_is_asked_about(run: Run, collection: str, halves: Path) -> None:
    for region, label in (("0,0,0.5,1", "red"), ("0.5,0,0.5,1", "blue")):
        [answer] = run("classify", collection, halves, "--region", region, "--format", "json").objects
        assert answer["label"] == label


@pytest.mark.parametrize("region", ["0,0,1", "a,b,c,d", "0,0,1,1,1", ""])
def test_a_region_has_four_numbers(run: Run, collection: str, halves: Path, region: str) -> None:
    done = run("classify", collection, halves, "--region", region)
    assert done.code == 1
    assert "four numbers" in done.err


def test_a_region_outside_of_the_picture_fails(run: Run, collection: str, halves: Path) -> None:
    done = run("classify", collection, halves, "--region", "0.6,0,0.6,1")
    assert done.code == 1
    assert "not within the image" in done.err


def test_views_get_one_answer(run: Run, collection: str, colours: Path) -> None:
    pictures = [colours / "red" / f"{number}.png" for number in range(3)]
    [answer] = run("classify", collection, *pictures, "--views", "--format", "json").objects
    assert answer["input"] == f"{pictures[0]} and 2 more"
    assert (answer["label"], answer["dissent"]) == ("red", 0)
    assert [view["label"] for view in answer["views"]] == ["red"] * 3
    done = run("classify", collection, *pictures[:2], colours / "blue" / "0.png", "--views")
    assert done.code == 0
    assert "1 of 3 views have another best label" in done.err


def test_views_that_cannot_be_used_are_reported(run: Run, collection: str, colours: Path, tmp_path: Path) -> None:
    done = run("classify", collection, colours / "red" / "0.png", "--views")
    assert done.code == 1
    assert "2 to 32 inputs" in done.err
    done = run("classify", collection, colours / "red" / "0.png", tmp_path / "absent.png", "--views")
    assert done.code == 1
    assert "no such file" in done.err
