"""The async client is generated from the sync client, and the docstrings of both are complete."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

import glimpse.client
from glimpse.client import AsyncClient, Client

ROOT = Path(__file__).parents[2]
CLIENTS = (Client, AsyncClient)


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "client"))
    try:
        import generate_async

        yield generate_async
    finally:
        sys.path.remove(str(ROOT / "client"))


def methods(kind: type) -> list[str]:
    return sorted(name for name, value in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_"))


def section(docstring: str, title: str) -> str:
    """Returns the text of a section of a Google-style docstring; empty if there is none."""
    match = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", docstring + "\n", re.MULTILINE)
    return match[1] if match else ""


def test_the_async_client_is_up_to_date(generator: ModuleType) -> None:
    committed = {path.name: path.read_text("utf-8") for path in generator.TARGET.glob("*.py")}
    assert committed == generator.generate(), "run `make client` and commit the files"


@pytest.mark.parametrize("kind", CLIENTS)
def test_every_method_documents_its_arguments_result_and_errors(kind: type) -> None:
    for name in [*methods(kind), "__init__"]:
        method = getattr(kind, name)
        docstring, signature = inspect.getdoc(method) or "", inspect.signature(method)
        arguments = [argument for argument in signature.parameters if argument != "self"]
        assert re.findall(r"^    (\w+): ", section(docstring, "Args"), re.MULTILINE) == arguments, name
        assert bool(section(docstring, "Returns")) == (signature.return_annotation not in (None, "None")), name
        assert section(docstring, "Raises") or name == "close", name


@pytest.mark.parametrize("kind", CLIENTS)
def test_examples_in_docstrings_are_valid(kind: type) -> None:
    docstrings = [inspect.getdoc(kind) or "", *(inspect.getdoc(getattr(kind, name)) or "" for name in methods(kind))]
    examples = [code for docstring in docstrings for code in re.findall(r"```python\n(.*?)```", docstring, re.DOTALL)]
    assert len(examples) >= 3
    for code in examples:
        tree = compile(dedent(code), "example", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        awaited = [node.value for node in ast.walk(tree) if isinstance(node, ast.Await)]
        assert bool(awaited) == (kind is AsyncClient)
        # `await client.call().field` would await the field.
        assert all(isinstance(value, ast.Call) for value in awaited), code


@pytest.mark.parametrize("name", [name for name in glimpse.client.__all__ if name not in ("Client", "AsyncClient")])
def test_every_public_class_documents_its_fields(name: str) -> None:
    kind = getattr(glimpse.client, name)
    fields = [field for field in getattr(kind, "__dataclass_fields__", {}) if field in kind.__annotations__]
    described = re.findall(r"^    (\w+): ", section(inspect.getdoc(kind) or "", "Attributes"), re.MULTILINE)
    assert set(described) >= set(fields), name
