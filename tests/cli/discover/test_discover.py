"""Tests of `glimpse discover` on drawn pictures, texts, indexes and a collection of a real server."""

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import bundled
from support.bundles import tiny_image_bundle
from support.indexes import make_index
from support.shapes import LABELS, draw_shapes
from support.toy_bundle import COLOURS

from ..conftest import Done, Run, run_glimpse

Discover = Callable[..., Done]
_EACH = 12


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns twelve shades of each colour in a folder for each, a grey picture like no other, and a copy of one."""
    folder, rng = tmp_path_factory.mktemp("painted") / "pictures", np.random.default_rng(0)
    for colour, rgb in COLOURS.items():
        (folder / colour).mkdir(parents=True)
        for number in range(_EACH):
            shade = np.clip(np.array(rgb) + rng.normal(0, 30, 3), 0, 255).astype(np.uint8)
            Image.new("RGB", (16, 16), tuple(shade.tolist())).save(folder / colour / f"{number:02}.png")
    Image.new("RGB", (16, 16), (115, 125, 120)).save(folder / "grey.png")
    shutil.copy(folder / "red" / "03.png", folder / "blue" / "same.png")
    return folder


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("names") / "names.txt"
    file.write_text("\n".join([*COLOURS, "red"]) + "\n")
    return file


@pytest.fixture
def discover(toy_bundle: Path, tmp_path: Path) -> Discover:
    """Runs `glimpse discover … --backbone TOY` in an empty folder."""
    return lambda *words, **options: run_glimpse(
        ["discover", *words, "--backbone", toy_bundle], cwd=tmp_path, **options
    )


def _colour(name: str) -> str:
    """Returns the colour of a painted picture, whatever folder it is in."""
    return "red" if name.endswith("same.png") else Path(name).stem if "grey" in name else Path(name).parent.name


def test_json_has_groups_names_outliers_and_near_duplicates(painted: Path, names: Path, discover: Discover) -> None:
    done = discover(painted, "--names", names, "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    assert (record["inputs"], record["total"], record["failures"]) == (50, 50, [])
    assert record["clear"]
    assert record["silhouette"] > 0.3
    # Subfolders are not taken for labels.
    assert record["cut_by"] == "density"
    assert all(group["labels"] == {} for group in record["groups"])
    several = [group for group in record["groups"] if group["size"] > 1]
    for group in several:
        colours = {_colour(member) for member in group["members"]} - {"grey"}
        assert len(colours) == 1
        assert group["names"][0]["name"] in colours
        assert group["members"][0] == group["medoid"]
        assert len(group["members"]) == group["size"]
    assert {_colour(group["medoid"]) for group in several} >= set(COLOURS)
    members = [member for group in record["groups"] for member in group["members"]]
    assert len(members) == len(set(members)) == 50
    assert record["outliers"][0]["input"] == str(painted / "grey.png")
    copies = next(one for one in record["near_duplicates"] if str(painted / "blue" / "same.png") in one)
    assert str(painted / "red" / "03.png") in copies


def test_a_table_fits_a_terminal_and_is_whole_in_a_pipe(painted: Path, names: Path, discover: Discover) -> None:
    shown = discover(painted, "--names", names, columns=80)
    assert shown.code == 0, shown.err
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "50 pictures in" in shown.out.replace("\n", " ")
    assert "…" in shown.out
    piped = discover(painted, "--names", names)
    assert "…" not in piped.out
    assert f"{painted / 'blue' / 'same.png'}, {painted / 'red' / '00.png'}" in piped.out


def test_csv_has_a_row_for_each_input(painted: Path, discover: Discover) -> None:
    rows = list(csv.DictReader(io.StringIO(discover(painted, "--format", "csv").out)))
    assert len(rows) == 50
    assert len({row["input"] for row in rows}) == 50
    groups = {row["group"] for row in rows}
    assert sorted(row["group"] for row in rows if row["medoid"] == "true") == sorted(groups)
    assert rows[0]["medoid"] == "true"
    assert float(rows[0]["similarity"]) == pytest.approx(1)
    assert all(row["name"] == row["label"] == "" for row in rows)


def test_with_labels_subfolders_say_where_to_cut(painted: Path, discover: Discover) -> None:
    done = discover(painted, "--labels", "--format", "json")
    assert done.code == 0, done.err
    assert "1 input beside the label folders" in done.err
    [record] = done.objects
    assert record["cut_by"] == "labels"
    assert record["inputs"] == 49
    counted: dict[str, int] = {}
    for group in record["groups"]:
        assert sum(group["labels"].values()) == group["size"]
        for label, count in group["labels"].items():
            counted[label] = counted.get(label, 0) + count
    assert counted == dict.fromkeys(COLOURS, _EACH) | {"blue": _EACH + 1}
    assert "blue 1" in discover(painted, "--labels").out


def test_each_method_samples_what_it_says(painted: Path, discover: Discover) -> None:
    def sample(by: str, count: int) -> list[str]:
        done = discover(painted, "--sample", count, "--by", by, "--format", "json")
        assert done.code == 0, done.err
        assert [one["rank"] for one in done.objects] == list(range(1, len(done.objects) + 1))
        return [one["input"] for one in done.objects]

    assert {_colour(name) for name in sample("diverse", 6)} >= set(COLOURS)
    assert {_colour(name) for name in sample("typical", 8)} >= set(COLOURS)
    assert sample("outlier", 1) == [str(painted / "grey.png")]
    # The largest set of near copies is red.
    assert sample("duplicate", 2) == [str(painted / "blue" / "same.png"), str(painted / "red" / "00.png")]


def test_a_sample_is_copied_in_its_order(painted: Path, discover: Discover, tmp_path: Path) -> None:
    words = (painted, "--sample", 10, "--copy-to", "first", "--format", "json")
    done = discover(*words)
    assert done.code == 0, done.err
    copies = sorted((tmp_path / "first").iterdir())
    assert [str(Path("first") / copy.name) for copy in copies] == [one["file"] for one in done.objects]
    for copy, one in zip(copies, done.objects, strict=True):
        assert copy.read_bytes() == Path(one["input"]).read_bytes()
    again = discover(*words)
    assert (again.code, again.out) == (1, "")
    assert "first is not empty" in again.err


def test_the_contact_sheet_has_a_row_for_each_group_with_its_medoid_first(
    painted: Path, discover: Discover, tmp_path: Path
) -> None:
    done = discover(painted, "--sheet", "sheet.png", "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    several = [group for group in record["groups"] if group["size"] > 1]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1280
        row = (sheet.height - 110) / len(several)
        for number, group in enumerate(several):
            with Image.open(group["medoid"]) as medoid:
                expected = medoid.getpixel((8, 8))
            assert sheet.getpixel((80, round(110 + (number + 0.6) * row))) == expected


def test_names_that_the_backbone_does_not_know_are_reported(painted: Path, discover: Discover, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("red\nheron\nrobin\nwren\n")
    assert "2 of 4 names have the vector of another" in discover(painted, "--names", "names.txt").err


def test_texts_have_groups_and_no_contact_sheet(discover: Discover, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"{colour} {colour}\n" * 5 for colour in COLOURS))
    done = discover("lines.txt", "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    assert sorted(group["size"] for group in record["groups"]) == [5, 5, 5, 5]
    assert [len(copies) for copies in record["near_duplicates"]] == [5, 5, 5, 5]
    done = discover("lines.txt", "--sheet", "sheet.png")
    assert done.code == 1
    assert "20 texts in 4 groups" in done.out
    assert "none of the inputs is a picture" in done.err


def test_unreadable_pictures_are_reported_and_left_out(painted: Path, discover: Discover, tmp_path: Path) -> None:
    shutil.copytree(painted / "red", tmp_path / "some")
    for number in range(7):
        (tmp_path / "some" / f"broken-{number}.png").write_bytes(b"no picture")
    done = discover("some", "--format", "json")
    assert done.code == 1
    [record] = done.objects
    assert (record["inputs"], record["total"], len(record["failures"])) == (12, 19, 7)
    assert "failed: some/broken-0.png: " in done.err
    assert "2 more inputs failed" in done.err


@pytest.mark.parametrize("count", [1, 2])
def test_very_few_inputs_are_shown_too(count: int, painted: Path, discover: Discover, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for number in range(count):
        shutil.copy(painted / "red" / f"{number:02}.png", tmp_path / "few")
    done = discover("few", "--sheet", "sheet.png")
    assert done.code == 0, done.err
    assert "no clear groups" in done.out
    assert f"few: {count} picture{'s' * (count > 1)} in " in done.out
    assert (tmp_path / "sheet.png").is_file()
    none = discover("few", "--sample", 5, "--by", "duplicate")
    assert none.code == 0
    assert ("no near duplicates" in none.err) == (len(none.out.splitlines()) == 1)


def test_inputs_without_structure_form_no_clear_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((600, 32)).astype(np.float32)
    vectors[:, :8] *= 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    make_index(tmp_path / "cloud", "a space", vectors, [None] * 600)
    done = run_glimpse(["discover", "cloud"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert "600 rows in" in done.out
    assert "These inputs form no clear groups: the silhouette is 0.0" in done.out


@pytest.fixture(scope="module")
def index(painted: Path, toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an index of the painted pictures with the toy backbone, with labels."""
    place = tmp_path_factory.mktemp("index")
    words = ["index", "build", painted, "--backbone", toy_bundle, "--out", "index", "--labels", "label"]
    done = run_glimpse(words, cwd=place)
    assert done.code == 0, done.err
    return place / "index"


def test_an_index_brings_its_labels_and_takes_names_from_its_own_backbone(
    index: Path, names: Path, discover: Discover, tmp_path: Path
) -> None:
    done = discover(index, "--names", names, "--sheet", "sheet.png", "--format", "json")
    assert done.code == 0, done.err
    assert (tmp_path / "sheet.png").is_file()
    [record] = done.objects
    assert (record["cut_by"], record["clear"]) == ("labels", True)
    assert record["groups"][0]["size"] > 2
    for group in record["groups"]:
        if group["size"] > 2:
            assert group["names"][0]["name"] in group["labels"]


def test_an_index_takes_no_names_from_another_backbone(index: Path, names: Path, tmp_path: Path) -> None:
    other = run_glimpse(["discover", index, "--names", names], cwd=tmp_path)
    assert other.code == 1
    assert "index that reads text is at hand" in other.err
    other = run_glimpse(["discover", index, "--backbone", tiny_image_bundle(tmp_path / "tiny").path], cwd=tmp_path)
    assert other.code == 1
    assert "has another embedding space" in other.err


def test_a_collection_is_read_from_its_server(run: Run, collection: str, names: Path) -> None:
    done = run("discover", collection, "--names", names, "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    assert record["source"] == f"collections/{collection}"
    assert record["inputs"] == 24
    for group in record["groups"]:
        [label] = group["labels"]
        assert group["names"][0]["name"] == label
    done = run("discover", f"collections/{collection}", "--sample", 3, "--copy-to", "here")
    assert done.code == 0, done.err
    assert "3 of 3 inputs have no file here" in done.err


def test_what_is_not_there_is_an_error(run: Run, painted: Path, tmp_path: Path) -> None:
    assert "there is no file or folder no/such" in run("discover", "no/such").err
    for name in ("no-such", "no such"):
        missing = run("discover", name)
        assert missing.code == 1
        assert f"no file, folder or collection {name}" in missing.err
        assert "glimpse collections list" in missing.err
    assert run("collections", "create", "hollow").code == 0
    assert "there is no folder hollow here; as a collection: " in run("discover", "hollow").err
    nameless = run("discover", painted, "--names", "missing.txt")
    assert (nameless.code, nameless.err.count("missing.txt")) == (1, 1)
    assert run("discover", painted, "--copy-to", "x").code == 2
    assert run("discover", painted, "--sheet", "x.txt").code == 2
    (tmp_path / "empty").mkdir()
    assert run("discover", "empty").code == 1


def test_nothing_is_embedded_twice(painted: Path, discover: Discover, tmp_path: Path) -> None:
    assert discover(painted, "--cache", "cache").code == 0
    [digests] = (tmp_path / "cache").glob("*/digests")
    before = digests.stat().st_size
    assert before == 32 * len({file.read_bytes() for file in painted.rglob("*.png")})
    assert discover(painted, "--cache", "cache").code == 0
    assert digests.stat().st_size == before
    refused = discover(painted, "--cache", painted / "grey.png")
    assert (refused.code, "another folder with --cache" in refused.err) == (1, True)


@pytest.mark.skipif(not bundled().is_dir(), reason="the bundled backbone is not here")
def test_the_bundled_backbone_groups_and_names_drawings(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "shapes")
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    done = run_glimpse(["discover", "shapes", "--names", "names.txt", "--format", "json"], cwd=tmp_path)
    assert done.code == 0, done.err
    [record] = done.objects
    assert record["inputs"] == 36
    assert record["clear"]
    right = sum(
        group["size"] for group in record["groups"] for name in [group["names"][0]["name"]] if name in group["medoid"]
    )
    assert right >= 30
