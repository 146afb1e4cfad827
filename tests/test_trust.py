"""What no file from anybody may be given to: held for every module, as one line would be enough."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for root in ("client", "server", "index", "export", "bench", "docs") for file in (ROOT / root).rglob("*.py")
)
# Each makes any object that its bytes ask for.
_UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Windows between the tasks of one build, by way of Ray, which pickles whatever it carries itself.
_AMONG_OWN = {"index/glimpse/builder/engines/ray_engine.py": {"pickle"}}


def _calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, object]]]:
    """What is called, in full where it is an attribute of a name, and the constants given by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            values = {one.arg or "**": one.value for one in node.keywords}
            given: dict[str, object] = {
                name: one.value if isinstance(one, ast.Constant) else ... for name, one in values.items()
            }
            yield ast.unparse(node.func), given


def _wrong(name: str, code: str) -> Iterator[str]:
    tree = ast.parse(code)
    allowed = _AMONG_OWN.get(name, set())
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        yield from (f"imports {one}" for one in modules if one.split(".")[0] in _UNSAFE - allowed)
    for called, given in _calls(tree):
        last = called.rpartition(".")[2]
        if given.get("allow_pickle", False) is not False:
            yield f"{called} with allow_pickle"
        if called in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
            yield f"{called} without allow_pickle=False"
        if called in ("torch.load", "load_state_dict") and given.get("weights_only") is not True:
            yield f"{called} without weights_only=True"
        if last in ("extractall", "unpack_archive") and given.get("filter") != "data":
            yield f"{called}: members are read as streams"
        if called in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system") or given.get("shell") is True:
            yield f"{called} runs what it is given"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_that_runs_what_it_reads_is_called(file: Path) -> None:
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
def test_each_rule_sees_what_it_is_for(line: str) -> None:
    assert list(_wrong("", line))
