"""The files of a release: built, checked, installed alone, and listed."""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
LOG = """# Changelog

## Unreleased

### Added

- Not yet.

## 0.2.0 - 2026-11-29

### Added

- A thing.

## 0.1.0 - 2026-11-22

- The first.
"""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "docs" / "release.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load()


def test_the_changes_are_those_of_the_version() -> None:
    assert release.changes(LOG, "0.2.0") == "### Added\n\n- A thing.\n"
    assert release.changes(LOG, "0.1.0") == "- The first.\n"


@pytest.mark.parametrize("number", ["0.3.0", "0.2", "Unreleased"])
def test_a_version_without_a_dated_section_is_refused(number: str) -> None:
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md has no section"):
        release.changes(LOG, number)


def test_a_section_without_changes_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md has no section"):
        release.changes("## 0.2.0 - 2026-11-29\n\n## 0.1.0 - 2026-11-22\n- The first.\n", "0.2.0")


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    with pytest.raises(SystemExit, match="is not empty"):
        release.release(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a release, whose SBOM lists what the extra `cli` installs.

    The release compares the wheel with one of the sources, and runs twine.
    """
    out = tmp_path_factory.mktemp("release") / "dist"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "write_sbom", partial(release.write_sbom, extras="cli"))
        release.release(out)
    return out


@pytest.fixture(scope="module")
def built(made: Path) -> tuple[Path, Path]:
    """Returns the sdist and the wheel."""
    [sdist], [wheel] = made.glob("*.tar.gz"), made.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def clean(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the Python of an environment with the wheel alone, and its base requirements."""
    environment = tmp_path_factory.mktemp("clean") / "environment"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    # Older versions of pip download the packages of a dry run.
    for wanted in (["--upgrade", "pip"], [str(built[1])]):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def extras(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode()).get_all("Provides-Extra") or []


@pytest.mark.rest
@pytest.mark.timeout(600)
def test_the_checksums_are_those_of_all_files(made: Path) -> None:
    number = release.version()
    lines = [line.split("  ") for line in (made / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in lines} | {"SHA256SUMS"} == {file.name for file in made.iterdir()}
    assert {name for _, name in lines} == {
        f"glimpse_fewshot-{number}.tar.gz",
        f"glimpse_fewshot-{number}-py3-none-any.whl",
        f"glimpse_fewshot-{number}.cdx.json",
        "CHANGES.md",
    }
    assert all(hashlib.sha256((made / name).read_bytes()).hexdigest() == digest for digest, name in lines)


@pytest.mark.rest
@pytest.mark.timeout(600)
def test_the_sdist_has_what_the_wheel_is_made_of(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as source, zipfile.ZipFile(wheel) as archive:
        digests = {
            hashlib.sha256(file.read()).hexdigest()
            for member in source.getmembers()
            if member.isfile() and (file := source.extractfile(member))
        }
        missing = [
            name
            for name in archive.namelist()
            if name.startswith("glimpse/") and hashlib.sha256(archive.read(name)).hexdigest() not in digests
        ]
        names = {member.name.partition("/")[2] for member in source.getmembers()}
    assert not missing
    assert {"tests/test_release.py", "docs/release.py", "README.md", "LICENSE", "CHANGELOG.md"} <= names


@pytest.mark.rest
@pytest.mark.timeout(600)
def test_the_wheel_alone_is_a_client(clean: Path) -> None:
    code = (
        "import glimpse.client, glimpse.v1.types_pb2, importlib.metadata as m;"
        "print(m.version('glimpse-fewshot'), *sorted(d.name for d in m.distributions()))"
    )
    done = subprocess.run([clean, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    number, *names = done.stdout.split()
    assert number == release.version()
    assert {"grpcio", "protobuf", "numpy", "glimpse-fewshot"} <= set(names)
    assert not {"onnxruntime", "typer", "pyarrow", "faiss-cpu"} & set(names)
    command = subprocess.run([clean.parent / "glimpse", "status"], capture_output=True, text=True, check=False)
    assert command.returncode == 1
    assert "pip install 'glimpse-fewshot[cli]'" in command.stderr


@pytest.mark.rest
@pytest.mark.timeout(1200)
def test_every_extra_can_be_installed(clean: Path, built: tuple[Path, Path]) -> None:
    """A dry run resolves the extra and installs nothing."""
    wheel = built[1]
    problems = {}
    for extra in extras(wheel):
        command = [str(clean), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", f"{wheel}[{extra}]"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not json.loads(done.stdout)["install"]:
            problems[extra] = done.stderr[-500:]
    assert not problems


@pytest.mark.rest
@pytest.mark.timeout(600)
def test_the_sbom_lists_what_the_wheel_installs(made: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    [file] = made.glob("*.cdx.json")
    sbom = json.loads(file.read_text("utf-8"))
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "glimpse-fewshot")
    components = {component["name"]: component for component in sbom["components"]}
    assert {"grpcio", "protobuf", "numpy", "typer", "rich"} <= components.keys()
    assert not {"pip", "onnxruntime"} & components.keys()
    assert all(re.fullmatch(r"pkg:pypi/.+@.+", component["purl"]) for component in components.values())
    again = tmp_path / "sbom.json"
    release.write_sbom(built[1], again, extras="cli")
    assert again.read_bytes() == file.read_bytes()
