import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from glimpse.backbone import bundled

from .conftest import run_glimpse


def test_the_demo_on_ones_own_pictures(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", colours, "--backbone", toy_bundle, "--shots", "2"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert "100.0%" in done.out
    assert "p99" in done.out
    with Image.open(tmp_path / "glimpse-demo.png") as sheet:
        assert sheet.width == 1280
        assert sheet.height > 600


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", tmp_path], cwd=tmp_path)
    assert done.code == 1
    assert "subfolders" in done.err
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_start_shows_its_log(colours: Path, tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--images", colours, "--backbone", tmp_path / "none"], cwd=tmp_path)
    assert done.code == 1
    assert "did not start" in done.err
    assert "backbone.json" in done.err


def test_a_demo_that_is_ended_takes_its_server_along(colours: Path, toy_bundle: Path, tmp_path: Path) -> None:
    arguments = ["demo", "--images", str(colours), "--backbone", str(toy_bundle)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "glimpse.cli.main", *arguments], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    while not (logs := list(tmp_path.glob("glimpse-demo-*/server.log"))) and process.poll() is None:
        time.sleep(0.02)
    assert logs
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not bundled().is_dir(), reason="the bundled backbone is not here")
def test_the_demo_draws_its_own(tmp_path: Path) -> None:
    done = run_glimpse(["demo", "--out", "sheet.png"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert "by text alone" in done.out
    assert (tmp_path / "sheet.png").is_file()
