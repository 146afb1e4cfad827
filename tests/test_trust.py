"""Checks that no module passes a file to a function that can execute it; a single line would be enough to do harm."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for root in ("client", "server", "index", "export", "bench", "docs") for file in (ROOT / root).rglob("*.py")
)
# Each of these modules creates any object that its input names.
_UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# The tasks of one build exchange windows of inputs through Ray, which pickles everything that it carries.
_ALLOWED = {"index/glimpse/builder/engines/ray_engine.py": {"pickle"}}


def _calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, object]]]:
    """Yields the full name of each function that is called, and its constant keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            values = {one.arg or "**": one.value for one in node.keywords}
            constants: dict[str, object] = {
                name: one.value if isinstance(one, ast.Constant) else ... for name, one in values.items()
            }
            yield ast.unparse(node.func), constants


def _wrong(name: str, code: str) -> Iterator[str]:
    tree = ast.parse(code)
    allowed = _ALLOWED.get(name, set())
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        yield from (f"imports {one}" for one in modules if one.split(".")[0] in _UNSAFE - allowed)
    for called, constants in _calls(tree):
        last = called.rpartition(".")[2]
        if constants.get("allow_pickle", False) is not False:
            yield f"{called} with allow_pickle"
        if called in ("np.load", "numpy.load") and constants.get("allow_pickle") is not False:
            yield f"{called} without allow_pickle=False"
        if called in ("torch.load", "load_state_dict") and constants.get("weights_only") is not True:
            yield f"{called} without weights_only=True"
        if last in ("extractall", "unpack_archive") and constants.get("filter") != "data":
            yield f"{called}: members are read as streams"
        if called in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system") or constants.get("shell") is True:
            yield f"{called} executes its argument"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_module_calls_a_function_that_executes_its_input(file: Path) -> None:
    assert not list(_wrong(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")))


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "import numpy as np; np.load('a')",
        "import numpy as np; np.load('a', allow_pickle=True)",
        "f(allow_pickle=ask())",
        "import torch; torch.load('a')",
        "import torch; torch.load('a', weights_only=False)",
        "tar.extractall('a')",
        "zip.extractall('a')",
        "eval('1')",
        "run('ls', shell=True)",
    ],
)
def test_each_rule_finds_its_case(line: str) -> None:
    assert list(_wrong("", line))
