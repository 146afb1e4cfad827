"""Import rules, the namespace, the stubs."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = ("proto", "client", "server", "index", "export")
# The programs of this environment come first.
_ENVIRONMENT = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}


def test_imports_follow_the_layers() -> None:
    """The contracts are in pyproject.toml, under tool.importlinter."""
    done = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, env=_ENVIRONMENT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ROOTS)
def test_the_namespace_has_no_init(root: str) -> None:
    assert not (ROOT / root / "glimpse" / "__init__.py").exists()


def test_the_stubs_are_generated_from_the_contract(tmp_path: Path) -> None:
    made = subprocess.run([sys.executable, ROOT / "proto" / "generate.py", tmp_path], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    fresh = {file.name: file.read_bytes() for file in (tmp_path / "glimpse" / "v1").iterdir()}
    kept = {file.name: file.read_bytes() for file in (ROOT / "proto" / "glimpse" / "v1").glob("*_pb2*")}
    assert kept.keys() == fresh.keys()
    stale = [name for name, content in fresh.items() if kept[name] != content]
    assert not stale, f"run `make proto`: {stale}"


def test_the_server_loads_no_torch() -> None:
    code = "import sys, glimpse.server.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("module", ["inputs", "files.scratch"])
def test_inputs_and_files_load_the_standard_library_alone(module: str) -> None:
    code = f"import sys; before = set(sys.modules); import glimpse.{module}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded - {"glimpse"} <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["jwt", "cryptography", "pyarrow"])
def test_the_server_imports_tokens_tls_and_tables_only_on_request(module: str) -> None:
    code = f"import sys, glimpse.server.app; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
