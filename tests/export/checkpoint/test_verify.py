"""`glimpse export` and `glimpse backbones verify` on a checkpoint, as a user calls them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from support.server import GLIMPSE

from .open_clip_models import save_siglip


def glimpse(*arguments: str, cwd: Path) -> tuple[int, list[Any], str]:
    """Runs the command; returns the exit code, the lines of JSON, and the output."""
    command = [*GLIMPSE, *arguments, "--format", "json"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the checkpoint `siglip` and its bundle `out`."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "siglip").mkdir()
    save_siglip(folder / "siglip")
    code, [made], output = glimpse("export", "open_clip", "siglip", "--out", "out", cwd=folder)
    assert code == 0, output
    assert made["modalities"] == ["image", "text"]
    assert all(check["passed"] for check in made["proof"])
    assert "tracing the image tower" in output
    return folder


def test_it_is_compared_with_its_checkpoint_again(folder: Path) -> None:
    code, [found], output = glimpse("backbones", "verify", "out", cwd=folder)
    assert code == 0, output
    assert found["compared"]
    assert len(found["proof"]) == 6


def test_a_checkpoint_that_has_moved(folder: Path) -> None:
    (folder / "siglip").rename(folder / "moved")
    try:
        code, [found], _ = glimpse("backbones", "verify", "out", cwd=folder)
        assert (code, found["compared"]) == (0, False)
        assert "siglip" in found["reason"]
        code, [found], _ = glimpse("backbones", "verify", "out", "--model", "moved", cwd=folder)
        assert (code, found["compared"]) == (0, True)
    finally:
        (folder / "moved").rename(folder / "siglip")


def test_another_checkpoint_differs(folder: Path) -> None:
    import torch

    (folder / "other").mkdir()
    for file in (folder / "siglip").iterdir():
        (folder / "other" / file.name).write_bytes(file.read_bytes())
    weights = folder / "other" / "open_clip_pytorch_model.bin"
    state = torch.load(weights, weights_only=True)
    changed = {name: value.flip(0) if name == "text.text_projection.weight" else value for name, value in state.items()}
    assert not changed["text.text_projection.weight"].equal(state["text.text_projection.weight"])
    torch.save(changed, weights)
    code, [found], output = glimpse("backbones", "verify", "out", "--model", "other", cwd=folder)
    assert code == 1
    assert {check["part"] for check in found["proof"] if not check["passed"]} >= {"text graph: smallest cosine"}
    assert "differs from its checkpoint in text graph" in output
