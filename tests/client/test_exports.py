"""The client exports its public names, and needs only grpcio, protobuf, NumPy and the standard library."""

import ast
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

import glimpse.client
from glimpse.client.transport._channel import stubs_of

FOLDER = Path(glimpse.client.__file__).parent
ALLOWED = {"glimpse", "google", "grpc", "numpy"}

# typing_extensions is a dependency of grpcio itself.
BLOCKED = """
import sys
allowed = {"glimpse", "google", "grpc", "numpy", "typing_extensions", *sys.stdlib_module_names}
google = ("google", "google.protobuf", "google._upb")

class Block:
    def find_spec(self, name, path=None, target=None):
        outside = name.split(".")[0] not in allowed
        if outside or (name.split(".")[0] == "google" and not name.startswith("google.protobuf") and name not
        in google):
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Block())
import glimpse.client
print(len(glimpse.client.__all__))
"""


def test_the_exported_names_are_exactly_the_public_ones() -> None:
    public = {
        name
        for name, value in vars(glimpse.client).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("glimpse.client")
    }
    assert sorted(public) == sorted(glimpse.client.__all__)


def test_it_imports_where_nothing_else_is_installed() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_its_modules_import_nothing_else(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.split(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names, name
            if top == "google":
                assert name.startswith("google.protobuf")
            if top == "glimpse":
                assert name.startswith(("glimpse.client", "glimpse.v1"))


def test_every_call_names_a_method_of_the_contract() -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        stubs = stubs_of(channel)
        for module in FOLDER.rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.Constant) and str(node.value).startswith(
                    ("embedding.", "collections.", "classification.", "review.", "server.")
                ):
                    assert callable(stubs.method(str(node.value)))
