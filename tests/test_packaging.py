"""The wheel holds what a user needs, and asks for no more."""

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    [file] = out.iterdir()
    return zipfile.ZipFile(file)


def test_every_room_is_in_it(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = {
        "glimpse/v1/types_pb2.py",
        "glimpse/client/py.typed",
        "glimpse/cli/main.py",
        "glimpse/server/app.py",
        "glimpse/fewshot/engine.py",
        "glimpse/index/flat.py",
        "glimpse/ledger/migrations/env.py",
        "glimpse/export/onnx_image.py",
        "glimpse/backbone/bundled/glimpse-mini/backbone.json",
        "glimpse/backbone/bundled/glimpse-mini/image.onnx",
        "glimpse/backbone/bundled/glimpse-mini/text.onnx",
        "glimpse/backbone/bundled/glimpse-mini/tokenizer.json",
    }
    assert wanted <= names
    assert "glimpse/__init__.py" not in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"glimpse"}


def test_the_bundled_backbone_is_at_most_8_mb(wheel: zipfile.ZipFile) -> None:
    sizes = [info.file_size for info in wheel.infolist() if "/bundled/glimpse-mini/" in info.filename]
    assert 0 < sum(sizes) <= 8_000_000


def test_the_base_asks_for_the_wire_and_arrays_alone(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    needed = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
    base = {re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line}
    assert base == {"grpcio", "protobuf", "numpy"}


def test_the_wheel_has_its_licence_and_command(wheel: zipfile.ZipFile) -> None:
    texts = {name.rsplit("/", 1)[-1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "glimpse = glimpse.cli.main:main" in wheel.read(texts["entry_points.txt"]).decode()
    assert "Apache License" in wheel.read(texts["LICENSE"]).decode()
