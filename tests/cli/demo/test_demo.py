"""Tests of `glimpse demo`."""

import os
import shutil
import signal
import subprocess
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import bundled
from glimpse.cli.common.sheet import Sheet
from glimpse.cli.demo.data import folder_task
from support.server import GLIMPSE

from ..conftest import run_glimpse


def test_the_demo_runs_on_a_folder_of_pictures(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", colours, "--backbone", toy_bundle, "--shots", "2"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert "100.0%" in done.out
    assert "p99" in done.out
    with Image.open(tmp_path / "glimpse-demo.png") as sheet:
        assert sheet.width == 1280
        assert sheet.height > 600


def test_folder_labels_have_the_form_that_the_server_keeps(colours: Path, tmp_path: Path) -> None:
    shutil.copytree(colours / "red", tmp_path / unicodedata.normalize("NFD", "café"))
    shutil.copytree(colours / "green", tmp_path / "tea ")
    task = folder_task(tmp_path, 1, 0)
    assert {one.truth for one in (*task.examples, *task.queries)} == set(task.prompts) == {"café", "tea"}


def test_the_heading_is_one_line_however_long(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    pictures = shutil.copytree(colours, tmp_path / ("pictures-" + "of-colours-" * 6))
    done = run_glimpse(["demo", "--images", pictures, "--backbone", toy_bundle, "--shots", "2"], cwd=tmp_path)
    assert done.code == 0, done.err
    [heading] = [line for line in done.out.splitlines() if "· backbone" in line]
    assert len(heading) > 80
    assert heading.endswith("· backbone toy")


def test_a_folder_without_labels_is_rejected(tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", tmp_path], cwd=tmp_path)
    assert done.code == 1
    assert "subfolders" in done.err
    assert not list(tmp_path.iterdir())


def test_pictures_that_cannot_be_read_are_left_out_by_name(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(colours, pictures)
    shutil.copytree(colours / "red", pictures / ".hidden")
    broken = [pictures / "red" / f"{number}.png" for number in range(6)] + [pictures / "blue" / "1.png"]
    for file in broken:
        file.write_bytes(b"no picture")
    done = run_glimpse(["demo", "--images", pictures, "--backbone", toy_bundle], cwd=tmp_path)
    assert done.code == 0, done.err
    assert str(pictures / "red") in done.err
    assert "left out in total: " in done.err
    assert ".hidden" not in done.out + done.err
    assert "100.0%" in done.out
    assert (tmp_path / "glimpse-demo.png").is_file()


def test_too_few_readable_pictures_are_an_error(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for colour in ("red", "blue"):
        shutil.copytree(colours / colour, pictures / colour)
    for file in (pictures / "red").iterdir():
        file.write_bytes(b"no picture")
    done = run_glimpse(["demo", "--images", pictures, "--backbone", toy_bundle], cwd=tmp_path)
    assert done.code == 1
    assert "too few usable pictures: 1 label with an example" in done.err
    assert "Traceback" not in done.err


def test_an_output_file_that_cannot_be_written_is_rejected_before_the_run(colours: Path, tmp_path: Path) -> None:
    first = colours / "red" / "0.png"
    for out, message in (("x.foo", "must end in"), ("none/x.png", "no folder none"), (first, "inside a label")):
        done = run_glimpse(["demo", "--images", colours, "--out", out], cwd=tmp_path)
        assert done.code in (1, 2)
        assert done.out == ""
        assert message in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_tables_are_there_even_where_the_sheet_cannot_be_saved(
    colours: Path, toy_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "full.png").symlink_to("/dev/full")
    done = run_glimpse(["demo", "--images", colours, "--backbone", toy_bundle, "--out", "full.png"], cwd=tmp_path)
    assert done.code == 1
    assert "p99" in done.out
    assert done.err == "glimpse: full.png could not be written: No space left on device\n"


def test_the_sheet_shows_pictures_as_the_backbone_sees_them(tmp_path: Path) -> None:
    lying = Image.new("RGB", (20, 10), "red")
    exif = lying.getexif()
    exif[0x0112] = 6  # the orientation to rotate by 90 degrees
    lying.save(tmp_path / "lying.png", exif=exif)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    sheet = Sheet(100)
    for number, name in enumerate(("lying", "clear", "deep")):
        sheet.picture(number * 40, 0, 40, tmp_path / f"{name}.png")
    assert sheet.image.getpixel((3, 20)) == (255, 255, 255)
    assert sheet.image.getpixel((20, 3)) == (255, 0, 0)
    assert sheet.image.getpixel((60, 20)) == (255, 255, 255)
    assert sheet.image.getpixel((100, 20)) == (128, 128, 128)


def test_a_server_that_does_not_start_shows_its_log(colours: Path, tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", colours, "--backbone", tmp_path / "none"], cwd=tmp_path)
    assert done.code == 1
    assert "did not start" in done.err
    assert "there is no such bundle" in done.err


def test_a_terminated_demo_stops_its_server(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    arguments = ["demo", "--images", str(colours), "--backbone", str(toy_bundle)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([*GLIMPSE, *arguments], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while not (logs := list(tmp_path.glob(".glimpse.*.tmp/content/server.log"))) and process.poll() is None:
        time.sleep(0.02)
    assert logs
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert not list(tmp_path.glob(".glimpse.*"))


@pytest.mark.skipif(not bundled().is_dir(), reason="the bundled backbone is not here")
def test_the_demo_draws_its_own(tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--out", "sheet.png"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert "zero-shot" in done.out
    assert (tmp_path / "sheet.png").is_file()
