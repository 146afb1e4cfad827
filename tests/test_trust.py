"""No module calls a function that can execute code from the data it reads, such as pickle."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for root in ("client", "server", "index", "export", "bench", "docs") for file in (ROOT / root).rglob("*.py")
)
# These modules create whatever objects their input asks for.
_UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Ray pickles what it passes between the tasks of one build. That data never comes from a file.
_ALLOWED = {"index/glimpse/builder/engines/ray_engine.py": {"pickle"}}


def _calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, object]]]:
    """Yields the dotted name and the keyword arguments of each call; an argument that is no constant is `...`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (
                ast.unparse(node.func),
                {
                    keyword.arg or "**": keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
                    for keyword in node.keywords
                },
            )


def _parsed(code: str) -> ast.Module:
    # CPython 3.11 sometimes miscounts its depth while other threads run (python/cpython#106905); the next try is right.
    with suppress(SystemError):
        return ast.parse(code)
    return ast.parse(code)


def _violations(name: str, code: str) -> Iterator[str]:
    tree = _parsed(code)
    allowed = _ALLOWED.get(name, set())
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        yield from (f"imports {module}" for module in modules if module.split(".")[0] in _UNSAFE - allowed)
    for called, keywords in _calls(tree):
        last = called.rpartition(".")[2]
        if keywords.get("allow_pickle", False) is not False:
            yield f"{called} with allow_pickle"
        if called in ("np.load", "numpy.load") and keywords.get("allow_pickle") is not False:
            yield f"{called} without allow_pickle=False"
        if called in ("torch.load", "load_state_dict") and keywords.get("weights_only") is not True:
            yield f"{called} without weights_only=True"
        if last in ("extractall", "unpack_archive") and keywords.get("filter") != "data":
            yield f"{called}: members could be written outside the folder"
        if called in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system") or keywords.get("shell") is True:
            yield f"{called} executes its argument"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_module_executes_nothing_that_it_reads(file: Path) -> None:
    assert not list(_violations(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")))


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
def test_each_rule_detects_a_violation(line: str) -> None:
    assert list(_violations("", line))
