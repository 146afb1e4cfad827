"""The image: a clean Dockerfile, no torch, and stages whose commands make a server that a container can hold.

No image is built, so the test needs no Docker: the commands of the stages run in a folder, with the image's variables,
user and read-only root.
"""

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
#: Instructions of each stage.
STAGES = {
    match[2]: [line for line in match[3].splitlines() if line and not line.startswith("#")]
    for match in re.finditer(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", "\n".join(LINES) + "\n", re.M | re.S)
}


def commands(stage: str) -> list[str]:
    return [line.removeprefix("RUN ") for line in STAGES[stage] if line.startswith("RUN ")]


def variables() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", next(line for line in STAGES["runtime"] if line.startswith("ENV"))))


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_cpu_target_is_the_default_and_no_target_runs_as_root() -> None:
    assert [*STAGES][-1] == "cpu"
    for target in ("cpu", "gpu"):
        assert STAGES[target][-1] == "USER 10001:10001"


def test_the_image_does_not_allow_plaintext_by_itself() -> None:
    assert not [line for line in LINES if "GLIMPSE_INSECURE" in line and not line.startswith("#")]


def test_only_copied_files_are_sent_to_the_builder() -> None:
    copied = {name for line in STAGES["wheel"] if line.startswith("COPY ") for name in line.split()[1:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied


def required(requirement: Requirement, seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """Returns the names of all distributions that a requirement brings, as they are installed here."""
    key = (requirement.name, frozenset(requirement.extras))
    if key in seen:
        return set()
    seen.add(key)
    found = {requirement.name.lower().replace("_", "-")}
    for line in requires(requirement.name) or []:
        needed = Requirement(line)
        if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            found |= required(needed, seen)
    return found


def test_the_server_image_brings_no_torch() -> None:
    [install] = [command for command in commands("cpu-requirements") if "pip install" in command]
    [extras] = re.findall(r"'\.(\[[\w,]+\])'", install)
    found = required(Requirement(f"glimpse-fewshot{extras}"), set())
    assert {"grpcio", "onnxruntime", "psycopg-binary", "opentelemetry-sdk"} <= found
    assert not found & {"torch", "torchvision", "transformers", "ray", "matplotlib", "gensim", "pytest"}
    assert not [name for name in found if name.startswith("nvidia-")]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yields a folder that another user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def built(open_folder: Path) -> Path:
    """Returns a folder with the content of /opt/glimpse as the stages of the default target make it."""
    folder = open_folder
    sources = folder / "src"
    places = {"/opt/glimpse": str(folder / "glimpse"), "/wheels": str(folder / "wheels")}
    for stage in ("base", "cpu-requirements", "wheel", "cpu"):
        sources.mkdir(exist_ok=True)
        wanted = {"cpu-requirements": "requirements"}.get(stage, stage)
        for line in STAGES[wanted]:
            if line.startswith("COPY ") and "--from" not in line:
                for name in line.split()[1:-1]:
                    copy(ROOT / name, sources / name)
        for command in (*(commands(wanted) if wanted != stage else ()), *commands(stage)):
            run_as_built(re.sub(r"^--mount=\S+ ", "", command), sources, places)
        shutil.rmtree(sources)
    return folder / "glimpse"


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run_as_built(command: str, folder: Path, places: dict[str, str]) -> None:
    for in_image, here in places.items():
        command = command.replace(in_image, here)
    base = Path(sys.base_prefix) / "bin"
    environment = {"PATH": f"{places['/opt/glimpse']}/bin:{base}:{os.environ['PATH']}", "HOME": str(folder)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.rest
@pytest.mark.timeout(900)
def test_the_image_serves_on_a_root_that_cannot_be_written(built: Path, open_folder: Path) -> None:
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("only root can make its root read-only, and be someone else")
    assert not [*built.glob("lib/python*/site-packages/torch")]
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, 10001, 10001)
    environment = {
        name: value.replace("/opt/glimpse", str(built)).replace("/data", str(data)).replace("$PATH", os.environ["PATH"])
        for name, value in variables().items()
    } | {"GLIMPSE_LISTEN": "127.0.0.1:0", "HOME": str(data)}
    # The process has its own view of the file system, read-only except the data folder. It may read every file,
    # because the interpreter may be in a home folder; it has no other right of root.
    only = "dac_read_search"
    someone = f"setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --inh-caps=-all,+{only} "
    someone += f"--ambient-caps=+{only} --bounding-set=-all,+{only}"
    alone = f"mount --bind {data} {data} && mount -o remount,ro,bind / && cd {data} && exec {someone} glimpse serve"
    command = ["unshare", "--mount", "sh", "-ec", alone]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        line = server.stdout.readline()
        assert line.startswith("listening on"), server.communicate(timeout=30)[1]
        check = ["python", "-m", "glimpse.server.monitoring.probe"]
        environment["GLIMPSE_LISTEN"] = line.split()[-1]
        healthy = subprocess.run(check, env=environment, capture_output=True, text=True)
        assert healthy.returncode == 0, healthy.stderr
        assert (data / "ledger.sqlite").stat().st_uid == 10001
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert server.returncode == 0, log
    assert "Read-only" not in log
