"""Checks the pages of docs/ as a whole: links, the picture of the packages, the reference, the import lines."""

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from glimpse.cli.commands import command

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"])
_CODE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def script(name: str) -> ModuleType:
    """Imports a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page, as GitHub makes them of its headings."""
    text = _CODE.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in plain}


def links(page: Path) -> list[str]:
    """Returns the targets of a page's links and pictures that lie in the repository."""
    found = [link or picture for link, picture in _LINK.findall(_CODE.sub("", page.read_text("utf-8")))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_reference_of_the_contract_is_fresh() -> None:
    generator = script("generate_contract")
    assert generator.PAGE.read_text("utf-8") == generator.render(), "the contract has changed: run `make docs`"


def test_the_description_of_http_is_fresh() -> None:
    generator = script("generate_openapi")
    assert generator.FILE.read_text("utf-8") == generator.render(), "the contract has changed: run `make docs`"


def test_the_navigation_names_every_page() -> None:
    configuration = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"^ +- ([\w/-]+\.md)$", configuration.partition("\nnav:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_picture_of_the_packages_is_fresh() -> None:
    generator = script("generate_architecture")
    assert generator.PICTURE.read_text("utf-8") == generator.render(), "the imports have changed: run `make docs`"


def test_the_picture_has_a_place_for_every_package() -> None:
    generator = script("generate_architecture")
    graph = generator.import_graph()
    for parent, places in (("glimpse", generator.DISTRIBUTION), ("glimpse.server", generator.SERVER)):
        pairs = generator.package_imports(graph, parent)
        assert {name for pair in pairs for name in pair} == places.keys()


def test_the_page_of_the_architecture_names_every_layer() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    table = text.partition("## The server's layers")[2].partition("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.MULTILINE)]
    layers = [name for layer in script("generate_architecture").server_layers() for name in layer]
    assert sorted(name for row in rows for name in row) == sorted(layers)
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=layers.index)


def test_the_new_import_lines_of_the_gpu_checks_work() -> None:
    table = (DOCS / "testing.md").read_text("utf-8").partition("## GPU checks kept")[2]
    lines = re.findall(r"^\| `.*?` \| `(.*?)` \|$", table, re.MULTILINE)
    assert len(lines) == 10
    for line in lines:
        exec(line, {})


BLOCKS = [
    pytest.param(page, language, content, id=f"{page.relative_to(ROOT)}-{number}-{language}")
    for page in PAGES
    if page.name != "cli.md"
    for number, (language, content) in enumerate(
        re.findall(r"^```(sh|python|yaml)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize(("page", "language", "content"), BLOCKS)
def test_every_block_names_commands_options_and_modules_that_exist(page: Path, language: str, content: str) -> None:
    if language == "yaml":
        assert yaml.safe_load(content)
    elif language == "python":
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("glimpse"):
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []
    else:
        for words in commands(content):
            check_command(words)


def commands(script: str) -> Iterator[list[str]]:
    """Yields the words of each call of `glimpse` in a block, from its name on."""
    for line in re.sub(r"\\\n", " ", script).splitlines():
        for part in re.split(r"&&|\|\||;|\||\$\(|\bsh -c '", line):
            words = shlex.split(part.replace("'", "").replace('"', ""), comments=True)
            starts = [at for at, word in enumerate(words) if word == "glimpse"]
            # Elsewhere it is the name of an image, a namespace or a job.
            if starts and (starts[0] == 0 or "=" in words[0] or words[0] == "kubectl"):
                yield words[starts[-1] :]


def check_command(words: list[str]) -> None:
    """Fails where a subcommand or an option does not exist."""
    node: Any = command()
    options = {option for parameter in node.params for option in parameter.opts + parameter.secondary_opts}
    for word in words[1:]:
        if hasattr(node, "commands") and word in node.commands:
            node = node.commands[word]
            options |= {option for parameter in node.params for option in parameter.opts + parameter.secondary_opts}
        elif word.startswith("--"):
            assert word.partition("=")[0].rstrip(")") in options, f"{' '.join(words)}: no option {word}"
    assert not hasattr(node, "commands") or "--version" in words, f"{' '.join(words)}: no such subcommand"


def test_every_reason_on_a_page_is_one_of_the_page_of_errors() -> None:
    known = set(re.findall(r"^\| `([A-Z_]+)`", (DOCS / "errors.md").read_text("utf-8"), re.MULTILINE))
    pages = [
        "troubleshooting",
        "architecture",
        "limits-and-overload",
        "authentication",
        "re-embedding",
        "replicas",
        "embedding-spaces",
    ]
    for name in pages:
        text = (DOCS / f"{name}.md").read_text("utf-8")
        reasons = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", text))
        reasons = {reason for reason in reasons if not reason.startswith(("GLIMPSE_", "OTEL_", "GRPC_"))}
        assert reasons <= known, name


def test_no_diagram_has_a_semicolon_which_would_end_its_statement() -> None:
    diagrams = re.findall(
        r"^```mermaid\n(.*?)^```$", (DOCS / "architecture.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(diagrams) == 2
    assert [diagram for diagram in diagrams if ";" in diagram] == []
