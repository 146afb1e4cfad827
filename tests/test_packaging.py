"""The wheel has everything that a user needs, and requires nothing else."""

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
_STUBS = ("_pb2.py", "_pb2.pyi")


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
        "glimpse/console/assets/console.css",
        "glimpse/console/components/drop_zone.js",
        "glimpse/server/app.py",
        "glimpse/fewshot/classifier.py",
        "glimpse/index/search/flat_index.py",
        "glimpse/ledger/database/schema_migrations/env.py",
        "glimpse/export/onnx/onnx_image.py",
        "glimpse/backbone/background_words.txt",
        "glimpse/backbone/pull/catalogue.json",
        "glimpse/export/foreign/sentences.json",
        "glimpse/backbone/bundled/glimpse-mini/backbone.json",
        "glimpse/backbone/bundled/glimpse-mini/background.npy",
        "glimpse/backbone/bundled/glimpse-mini/image.onnx",
        "glimpse/backbone/bundled/glimpse-mini/text.onnx",
        "glimpse/backbone/bundled/glimpse-mini/tokenizer.json",
    }
    assert wanted <= names
    assert not [name for name in names if name.startswith("recipes/")], "recipes belong in a clone only"
    assert "glimpse/__init__.py" not in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"glimpse"}


def test_the_wheel_has_every_file_of_the_sources(wheel: zipfile.ZipFile) -> None:
    """It has the generated stubs, the weights and the words too, and nothing that git ignores."""
    roots = ("proto", "client", "server", "index", "export")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *(f"{root}/glimpse" for root in roots)]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    packed = {name for name in wheel.namelist() if name.startswith("glimpse/")}
    assert packed == {file.partition("/")[2] for file in tracked}
    changed = [file for file in tracked if wheel.read(file.partition("/")[2]) != (ROOT / file).read_bytes()]
    assert not changed
    stubs = {f"glimpse/v1/{file.stem}{end}" for file in (ROOT / "proto/glimpse/v1").glob("*.proto") for end in _STUBS}
    assert stubs <= packed


def test_the_wheel_has_the_drawings_but_no_recipe(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert not [name for name in names if "recipes" in name]
    assert "glimpse/export/drawings/rendering.py" in names


def test_the_bundled_backbone_is_at_most_8_mb(wheel: zipfile.ZipFile) -> None:
    sizes = [info.file_size for info in wheel.infolist() if "/bundled/glimpse-mini/" in info.filename]
    assert 0 < sum(sizes) <= 8_000_000


def test_the_base_requires_only_grpc_protobuf_and_numpy(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    requirement_lines = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
    base = {re.split(r"[^\w.-]", line)[0] for line in requirement_lines if "extra ==" not in line}
    assert base == {"grpcio", "protobuf", "numpy"}


def test_the_wheel_has_its_licence_and_command(wheel: zipfile.ZipFile) -> None:
    texts = {name.rsplit("/", 1)[-1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "glimpse = glimpse.cli.main:main" in wheel.read(texts["entry_points.txt"]).decode()
    assert "Apache License" in wheel.read(texts["LICENSE"]).decode()


def _requirements(wheel: zipfile.ZipFile, *extras: str) -> dict[str, Requirement]:
    """Returns the requirements of these extras by name; extras that name other extras of this project are resolved."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    lines = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
    resolved: dict[str, Requirement] = {}
    waiting, seen = list(extras), set(extras)
    while waiting:
        extra = waiting.pop()
        for requirement in map(Requirement, lines):
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                if requirement.name == "glimpse-fewshot":
                    waiting += requirement.extras - seen
                    seen |= requirement.extras
                else:
                    resolved[requirement.name] = requirement
    return resolved


CPU, GPU = {"onnxruntime", "faiss-cpu"}, {"onnxruntime-gpu", "faiss-gpu"}
CUVS = {"onnxruntime-gpu", "faiss-gpu-cuvs"}
BUILDS = CPU | GPU | CUVS


@pytest.mark.parametrize(
    "other_extra",
    ["", "index", "ray", "vectors", "export", "evaluate", "sklearn", "postgres", "otel", "console", "map"],
)
def test_no_extra_installs_two_builds_of_a_library(wheel: zipfile.ZipFile, other_extra: str) -> None:
    extras = [other_extra] if other_extra else []
    assert BUILDS & _requirements(wheel, *extras).keys() == set()
    assert BUILDS & _requirements(wheel, "server", *extras).keys() == CPU
    assert BUILDS & _requirements(wheel, "gpu", *extras).keys() == GPU
    assert BUILDS & _requirements(wheel, "gpu-cuvs", *extras).keys() == CUVS


@pytest.mark.parametrize(
    ("extra", "faiss", "versions"), [("gpu", "faiss-gpu", ">=1.14.3"), ("gpu-cuvs", "faiss-gpu-cuvs", ">=1.15.1")]
)
def test_the_gpu_extras_install_cuda_13_with_cudnn_and_cublas(
    wheel: zipfile.ZipFile, extra: str, faiss: str, versions: str
) -> None:
    needed = _requirements(wheel, extra)
    assert needed["onnxruntime-gpu"].extras == {"cuda", "cudnn"}
    assert needed["onnxruntime-gpu"].specifier == SpecifierSet(">=1.28")
    assert needed["nvidia-cublas"].specifier == SpecifierSet(">=13,<14")
    assert needed[faiss].specifier == SpecifierSet(versions)


def test_the_distribution_is_named_glimpse_fewshot(wheel: zipfile.ZipFile) -> None:
    assert str(wheel.filename).rpartition("/")[2].startswith("glimpse_fewshot-")


@pytest.mark.parametrize("pattern", [r"pip (un)?install [^\n#]*\bglimpse(?!-fewshot)", r"glimpse\[[a-z]"])
def test_no_install_command_names_another_project(pattern: str) -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ""}
    this_file = Path(__file__).relative_to(ROOT).as_posix()
    wrong = [
        f"{file}: {match.group()}"
        for file in files
        if Path(file).suffix in suffixes and file != this_file and (ROOT / file).is_file()
        for match in re.finditer(pattern, (ROOT / file).read_text("utf-8"))
    ]
    assert not wrong


# The README installs the server without another extra; these pages add one.
PAGES_WITH_EXTRAS = ["docs/backbones.md", "docs/indexes.md", "docs/ray.md"]


@pytest.mark.parametrize("file", ["README.md", *PAGES_WITH_EXTRAS])
def test_an_install_command_for_an_extra_with_the_server_also_names_the_gpu(file: str) -> None:
    commands = [
        line for line in (ROOT / file).read_text("utf-8").splitlines() if re.search(r"pip install .*\[server,", line)
    ]
    assert commands or file not in PAGES_WITH_EXTRAS
    assert [line for line in commands if "[gpu," not in line] == []


@pytest.mark.parametrize("second", ["onnxruntime-gpu", "faiss-gpu", "faiss-gpu-cuvs"])
def test_a_server_does_not_start_with_two_builds_of_a_library(second: str, tmp_path: Path) -> None:
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
