"""The wheel holds what a user needs, and asks for no more."""

import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    [file] = out.iterdir()
    return zipfile.ZipFile(file)


def test_the_wheel_has_every_package(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = {
        "glimpse/v1/types_pb2.py",
        "glimpse/client/py.typed",
        "glimpse/cli/main.py",
        "glimpse/server/app.py",
        "glimpse/fewshot/classifier.py",
        "glimpse/index/search/flat_index.py",
        "glimpse/ledger/database/schema_migrations/env.py",
        "glimpse/export/onnx/onnx_image.py",
        "glimpse/backbone/bundled/glimpse-mini/backbone.json",
        "glimpse/backbone/bundled/glimpse-mini/image.onnx",
        "glimpse/backbone/bundled/glimpse-mini/text.onnx",
        "glimpse/backbone/bundled/glimpse-mini/tokenizer.json",
    }
    assert wanted <= names
    assert not [name for name in names if name.startswith("recipes/")], "recipes are for a clone alone"
    assert "glimpse/__init__.py" not in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"glimpse"}


def test_the_recipe_of_the_bundled_backbone_is_not_in_it_but_its_pictures_are(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert not [name for name in names if "recipes" in name]
    assert "glimpse/export/drawings/rendering.py" in names


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


def _requirements(wheel: zipfile.ZipFile, *extras: str) -> dict[str, Requirement]:
    """Returns what the given extras bring, by name, with the extras of this project that they name resolved."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    lines = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
    found: dict[str, Requirement] = {}
    waiting, seen = list(extras), set(extras)
    while waiting:
        extra = waiting.pop()
        for requirement in map(Requirement, lines):
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                if requirement.name == "glimpse-fewshot":
                    waiting += requirement.extras - seen
                    seen |= requirement.extras
                else:
                    found[requirement.name] = requirement
    return found


CPU, GPU = {"onnxruntime", "faiss-cpu"}, {"onnxruntime-gpu", "faiss-gpu"}


@pytest.mark.parametrize("beside", ["", "ray", "vectors", "export", "evaluate", "postgres", "otel"])
def test_no_extra_brings_one_library_twice(wheel: zipfile.ZipFile, beside: str) -> None:
    extras = [beside] if beside else []
    assert (CPU | GPU) & _requirements(wheel, *extras).keys() == set()
    assert (CPU | GPU) & _requirements(wheel, "server", *extras).keys() == CPU
    assert (CPU | GPU) & _requirements(wheel, "gpu", *extras).keys() == GPU


def test_the_gpu_extra_brings_cuda_13_with_cudnn_and_cublas(wheel: zipfile.ZipFile) -> None:
    needed = _requirements(wheel, "gpu")
    assert needed["onnxruntime-gpu"].extras == {"cuda", "cudnn"}
    assert needed["onnxruntime-gpu"].specifier == SpecifierSet(">=1.28")
    assert needed["nvidia-cublas"].specifier == SpecifierSet(">=13,<14")
    assert needed["faiss-gpu"].specifier == SpecifierSet(">=1.14.3")


def test_the_distribution_is_not_the_other_project_of_that_name(wheel: zipfile.ZipFile) -> None:
    assert str(wheel.filename).rpartition("/")[2].startswith("glimpse_fewshot-")


@pytest.mark.parametrize("pattern", [r"pip (un)?install [^\n]*\bglimpse(?!-fewshot)", r"glimpse\[[a-z]"])
def test_no_hint_names_the_other_project(pattern: str) -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ""}
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        f"{file}: {match.group()}"
        for file in files
        if Path(file).suffix in texts and file != own and (ROOT / file).is_file()
        for match in re.finditer(pattern, (ROOT / file).read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize("file", ["README.md", *(f"docs/{name}.md" for name in ("backbones", "indexes", "ray"))])
def test_a_hint_for_an_extra_of_an_engine_names_both_engines(file: str) -> None:
    hints = [
        line for line in (ROOT / file).read_text("utf-8").splitlines() if re.search(r"pip install .*\[server,", line)
    ]
    assert hints
    assert [line for line in hints if "[gpu," not in line] == []


@pytest.mark.parametrize("second", ["onnxruntime-gpu", "faiss-gpu"])
def test_a_server_refuses_to_start_with_both_builds_of_a_library(second: str, tmp_path: Path) -> None:
    folder = tmp_path / f"{second.replace('-', '_')}-1.28.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {second}\nVersion: 1.28.0\n")
    roots = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    command = [
        sys.executable,
        "-m",
        "glimpse.cli.main",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        str(tmp_path / "data"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": roots}, check=False
    )
    assert done.returncode == 1
    assert f"{second} are both installed" in done.stderr
    assert "pip uninstall" in done.stderr
    assert done.stderr.count("\n") == 1
