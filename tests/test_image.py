"""The image has a clean Dockerfile and no torch, and its server runs on a read-only root.

The tests need no Docker. They run the commands of the stages in a folder, with the variables, the user and the
read-only root of the image.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LINES = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
#: The instructions of each stage.
STAGES = {
    match[2]: [line for line in match[3].splitlines() if line and not line.startswith("#")]
    for match in re.finditer(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", "\n".join(LINES) + "\n", re.M | re.S)
}


def commands(stage: str) -> list[str]:
    return [line.removeprefix("RUN ") for line in STAGES[stage] if line.startswith("RUN ")]


def variables() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", next(line for line in STAGES["runtime"] if line.startswith("ENV"))))


def test_hadolint_reports_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_default_target_is_cpu_and_no_target_runs_as_root() -> None:
    assert [*STAGES][-1] == "cpu"
    for target in ("cpu", "gpu"):
        assert STAGES[target][-1] == "USER 10001:10001"


def test_the_image_does_not_allow_plaintext_by_default() -> None:
    assert not [line for line in LINES if "GLIMPSE_INSECURE" in line and not line.startswith("#")]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_an_image_has_the_labels_of_its_build(target: str) -> None:
    labels = {
        name: value
        for stage in ("runtime", target)
        for line in STAGES[stage]
        if line.startswith("LABEL ")
        for name, value in re.findall(r"org\.opencontainers\.image\.([\w.]+)=(\S+)", line)
    }
    assert labels.keys() == {
        *("title", "description", "licenses", "base.name"),
        *("version", "revision", "created", "source"),
    }
    arguments = {line.split()[1].split("=")[0] for line in STAGES[target] if line.startswith("ARG ")}
    assert {labels[name] for name in ("version", "revision", "created", "source")} == {f"${name}" for name in arguments}


def test_the_build_context_has_only_files_that_the_stages_copy() -> None:
    copied = {name for line in STAGES["wheel"] if line.startswith("COPY ") for name in line.split()[1:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied


def installed_by(requirement: Requirement, seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """Returns the names of all distributions that a requirement installs, from the metadata in this environment."""
    key = (requirement.name, frozenset(requirement.extras))
    if key in seen:
        return set()
    seen.add(key)
    names = {requirement.name.lower().replace("_", "-")}
    for line in requires(requirement.name) or []:
        needed = Requirement(line)
        if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            names |= installed_by(needed, seen)
    return names


def test_the_server_image_has_no_torch() -> None:
    [install] = [command for command in commands("cpu-requirements") if "pip install" in command]
    [extras] = re.findall(r"'\.(\[[\w,]+\])'", install)
    names = installed_by(Requirement(f"glimpse-fewshot{extras}"), set())
    assert {"grpcio", "onnxruntime", "pyarrow", "psycopg-binary", "opentelemetry-sdk"} <= names
    assert not names & {"torch", "torchvision", "transformers", "ray", "matplotlib", "gensim", "pytest"}
    assert not [name for name in names if name.startswith("nvidia-")]


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Yields a folder that other users can enter. The folders of pytest are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def built(open_folder: Path) -> Path:
    """Returns a folder with the content of /opt/glimpse, made by the stages of the default target."""
    folder = open_folder
    sources = folder / "src"
    places = {"/opt/glimpse": str(folder / "glimpse"), "/wheels": str(folder / "wheels")}
    for stage in ("base", "cpu-requirements", "wheel", "cpu"):
        sources.mkdir(exist_ok=True)
        source_stage = {"cpu-requirements": "requirements"}.get(stage, stage)
        for line in STAGES[source_stage]:
            if line.startswith("COPY ") and "--from" not in line:
                for name in line.split()[1:-1]:
                    copy(ROOT / name, sources / name)
        for command in (*(commands(source_stage) if source_stage != stage else ()), *commands(stage)):
            run_as_built(re.sub(r"^--mount=\S+ ", "", command), sources, places)
        shutil.rmtree(sources)
    return folder / "glimpse"


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run_as_built(command: str, folder: Path, places: dict[str, str]) -> None:
    for path, folder_path in places.items():
        command = command.replace(path, folder_path)
    base = Path(sys.base_prefix) / "bin"
    environment = {"PATH": f"{places['/opt/glimpse']}/bin:{base}:{os.environ['PATH']}", "HOME": str(folder)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.rest
@pytest.mark.timeout(900)
def test_the_image_lists_its_packages(built: Path, open_folder: Path) -> None:
    [tool] = commands("sbom-tool")
    [listing] = [command for command in commands("cpu-packages") if "cyclonedx-py" in command]
    places = {
        "/opt/glimpse": str(built),
        "/opt/cyclonedx": str(open_folder / "cyclonedx"),
        "/sbom": str(open_folder / "sbom"),
    }
    run_as_built(tool, open_folder, places)
    run_as_built(listing.partition("&& ")[2], open_folder, places)
    sbom = json.loads((open_folder / "sbom" / "glimpse-image.cdx.json").read_text("utf-8"))
    assert sbom["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in sbom["components"]}
    assert {"glimpse-fewshot", "grpcio", "onnxruntime", "faiss-cpu", "pyarrow", "psycopg-binary"} <= names
    assert "cyclonedx-bom" not in names


@pytest.mark.rest
@pytest.mark.timeout(900)
def test_the_image_serves_on_a_read_only_root(built: Path, open_folder: Path) -> None:
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("only root can remount the root read-only and change its user")
    assert not [*built.glob("lib/python*/site-packages/torch")]
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, 10001, 10001)
    environment = {
        name: value.replace("/opt/glimpse", str(built)).replace("/data", str(data)).replace("$PATH", os.environ["PATH"])
        for name, value in variables().items()
    } | {"GLIMPSE_LISTEN": "127.0.0.1:0", "HOME": str(data)}
    # In a mount namespace of its own, everything but the data folder is read-only. The server keeps one capability of
    # root: to read every file, because the interpreter may be in a private home folder.
    capability = "dac_read_search"
    as_user = f"setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --inh-caps=-all,+{capability} "
    as_user += f"--ambient-caps=+{capability} --bounding-set=-all,+{capability}"
    script = f"mount --bind {data} {data} && mount -o remount,ro,bind / && cd {data} && exec {as_user} glimpse serve"
    command = ["unshare", "--mount", "sh", "-ec", script]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        line = server.stdout.readline()
        assert line.startswith("listening on"), server.communicate(timeout=30)[1]
        probe = ["python", "-m", "glimpse.server.monitoring.probe"]
        environment["GLIMPSE_LISTEN"] = line.split()[-1]
        healthy = subprocess.run(probe, env=environment, capture_output=True, text=True)
        assert healthy.returncode == 0, healthy.stderr
        assert (data / "ledger.sqlite").stat().st_uid == 10001
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert server.returncode == 0, log
    assert "Read-only" not in log
