"""A torchvision that does not fit torch, as two package indexes can cause: each export reports it and the fix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from .hf_models import save_transformer

pytestmark = pytest.mark.timeout(300)  # starts a process that imports torch


def export(folder: Path, *arguments: str, blocked: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command in a process that imports modules from `folder` first."""
    paths = os.pathsep.join([str(folder), *sys.path])
    command = [
        sys.executable,
        "-m",
        "glimpse.cli.main",
        "export",
        *arguments,
        "--name",
        "x",
        "--out",
        str(folder / "out"),
    ]
    environment = {**os.environ, "PYTHONPATH": paths, "BLOCKED": blocked}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("library", ["hf", "timm"])
def test_a_torchvision_that_raises_is_named_with_the_cure(library: str, tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    model = str(save_transformer(tmp_path / "model", "bert")) if library == "hf" else "resnet18"
    found = export(tmp_path, library, model)
    assert found.returncode != 0
    assert "Traceback" not in found.stderr
    assert "(operator torchvision::nms does not exist); install both from one place: pip install" in found.stderr
    assert ("pip uninstall torchvision" in found.stderr) == (library == "hf")


def test_a_sentence_encoder_needs_the_text_extra_alone(tmp_path: Path) -> None:
    """It needs neither torchvision, open_clip, timm, onnxscript nor gensim."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, os, sys\n"
        "blocked = set(os.environ['BLOCKED'].split(','))\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in blocked:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name.split('.')[0] in blocked else find(name, *more)\n"
    )
    model = str(save_transformer(tmp_path / "model", "bert"))
    found = export(tmp_path, "hf", model, blocked="torchvision,open_clip,timm,onnxscript,gensim,matplotlib")
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "out" / "text.onnx").is_file()
