"""What holds the house together: import rules, the namespace, the stubs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = ("proto", "client", "server", "index", "export")

# Each package of ours, and which others it may import.
ALLOWED = {
    "glimpse.backbone": set(),
    "glimpse.fewshot": set(),
    "glimpse.index": set(),
    "glimpse.inputs": set(),
    "glimpse.builder": {"glimpse.backbone", "glimpse.index", "glimpse.inputs"},
    "glimpse.ledger": set(),
    "glimpse.export": {"glimpse.backbone"},
    "glimpse.client": {"glimpse.v1"},
    "glimpse.server": {"glimpse.v1", "glimpse.backbone", "glimpse.fewshot", "glimpse.index", "glimpse.ledger"},
    "glimpse.evaluate": {"glimpse.backbone", "glimpse.fewshot", "glimpse.index", "glimpse.inputs"},
    "glimpse.cli": {"glimpse.client", "glimpse.export", "glimpse.backbone", "glimpse.inputs"},
}
# Beyond ALLOWED: the one command that runs the server, that on its ledger's keys, and those that work without one.
EXCEPTIONS = {
    "client/glimpse/cli/server/serve.py": {"glimpse.server", "glimpse.ledger"},
    "client/glimpse/cli/resources/keys.py": {"glimpse.server", "glimpse.ledger"},
    **{
        file.relative_to(ROOT).as_posix(): {"glimpse.ledger", "glimpse.server"}
        for file in (ROOT / "client/glimpse/cli").glob("ledger*.py")
    },
    "client/glimpse/cli/evaluate/command.py": {"glimpse.evaluate", "glimpse.fewshot"},
    "client/glimpse/cli/evaluate/report.py": {"glimpse.evaluate"},
    # For the interval of a proportion.
    "client/glimpse/cli/scoring/figures.py": {"glimpse.fewshot"},
    **{
        file.relative_to(ROOT).as_posix(): {"glimpse.builder", "glimpse.index"}
        for file in (ROOT / "client/glimpse/cli").glob("index*.py")
    },
}
# Third-party modules that a room must not know.
FORBIDDEN = {
    "glimpse.backbone": {"grpc", "sqlalchemy", "faiss", "torch"},
    "glimpse.fewshot": {"grpc", "sqlalchemy", "faiss", "torch", "onnxruntime", "PIL"},
    "glimpse.index": {"grpc", "sqlalchemy", "torch", "onnxruntime"},
    "glimpse.builder": {"grpc", "sqlalchemy", "torch", "faiss", "onnxruntime"},
    "glimpse.ledger": {"grpc", "faiss", "torch", "onnxruntime"},
    "glimpse.server": {"torch"},
    "glimpse.evaluate": {"grpc", "sqlalchemy", "torch", "faiss", "onnxruntime"},
    "glimpse.client": {"torch", "faiss", "onnxruntime", "PIL", "rich", "typer", "google.rpc", "grpc_status"},
    "glimpse.cli": {"torch", "faiss", "onnxruntime"},
}


def modules() -> list[tuple[str, Path]]:
    """Every package's files, as (package, file)."""
    found = []
    for root in ROOTS[1:]:
        for file in (ROOT / root / "glimpse").rglob("*.py"):
            package = ".".join(("glimpse", file.relative_to(ROOT / root / "glimpse").parts[0]))
            found.append((package, file))
    return found


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package: str) -> None:
    files = [file for one, file in modules() if one == package]
    assert files, f"no file of {package}"
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        for imported in imports(file):
            if imported.startswith("glimpse."):
                target = ".".join(imported.split(".")[:2])
                allowed = ALLOWED[package] | EXCEPTIONS.get(name, set()) | {package}
                assert target in allowed, f"{name} imports {imported}"
            for forbidden in FORBIDDEN.get(package, ()):
                assert not f"{imported}.".startswith(f"{forbidden}."), f"{name} imports {imported}"


def test_every_package_has_its_rule() -> None:
    assert {package for package, _ in modules()} == set(ALLOWED)


@pytest.mark.parametrize("root", ROOTS)
def test_the_namespace_has_no_init(root: str) -> None:
    assert not (ROOT / root / "glimpse" / "__init__.py").exists()


def test_the_stubs_are_what_the_contract_makes(tmp_path: Path) -> None:
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


def test_inputs_load_the_standard_library_alone() -> None:
    code = "import sys; before = set(sys.modules); import glimpse.inputs; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded - {"glimpse"} <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["jwt", "cryptography"])
def test_the_server_loads_what_serves_tokens_and_tls_only_where_they_are_asked_for(module: str) -> None:
    code = f"import sys, glimpse.server.app; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
