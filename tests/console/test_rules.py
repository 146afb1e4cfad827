"""The rules for pages, checked in the source: texts are texts, addresses name a page and a collection alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import glimpse.console
from glimpse.console.context import Page
from glimpse.console.pages import HOME, PAGES

[PLACE] = glimpse.console.__path__
FILES = sorted(Path(PLACE).rglob("*.py"))
# These read their argument as HTML, Markdown, a diagram or code.
_FORBIDDEN = {
    *("html", "markdown", "restructured_text", "mermaid", "run_javascript", "add_body_html", "chat_message", "log"),
    *("add_slot", "add_css", "editor", "code", "teleport", "run_method", "get_computed_prop"),
}
# These parse their argument, so it must be written in the source.
_LITERAL = {"props", "classes", "add_head_html", "default_props", "default_classes"}
_STYLED = {"progress.py", "labels.py"}  # styles with a number of the page's own


def is_literal(node: ast.expr) -> bool:
    """Returns whether an expression is a constant of the source, or a choice of constants."""
    if isinstance(node, ast.IfExp):
        return is_literal(node.body) and is_literal(node.orelse)
    return isinstance(node, ast.Constant)


def violations(name: str, code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called, values = node.func.attr, [*node.args, *(keyword.value for keyword in node.keywords)]
        literal = all(map(is_literal, values))
        of_ui = isinstance(node.func.value, ast.Name) and node.func.value.id == "ui"
        if (of_ui and called in _FORBIDDEN) or called in ("run_javascript", "add_slot"):
            yield f"{name}:{node.lineno}: {called}"
        if called in _LITERAL and not literal:
            yield f"{name}:{node.lineno}: {called} of something that is not written here"
        if called == "style" and not literal and name not in _STYLED:
            yield f"{name}:{node.lineno}: style of something that is not written here"
        if called == "on" and any(
            keyword.arg == "js_handler" and not is_literal(keyword.value) for keyword in node.keywords
        ):
            yield f"{name}:{node.lineno}: js_handler of something that is not written here"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PLACE)))
def test_texts_are_shown_as_texts(file: Path) -> None:
    assert not list(violations(file.name, file.read_text("utf-8")))


@pytest.mark.parametrize(
    "code",
    [
        "ui.html(text)",
        "ui.markdown('x')",
        "box.props(f'label={name}')",
        "box.classes(label)",
        "box.style(f'color: {x}')",
        "box.on('click', js_handler=f'x({name})')",
        "client.run_javascript(code)",
        "table.add_slot('body', template)",
    ],
)
def test_the_check_finds_what_it_is_for(code: str) -> None:
    assert list(violations("page.py", code))


def test_a_page_has_an_address_of_its_own() -> None:
    assert len({page.path for page in PAGES}) == len({page.title for page in PAGES}) == len(PAGES)
    assert HOME in PAGES
    for page in PAGES:
        assert page.path.isalpha()
        assert page.path.islower()


def test_an_address_names_the_page_and_the_collection() -> None:
    page = Page("teach", "Teach", PAGES[0].show)
    assert page.address() == "/teach"
    assert page.address("shapes") == "/teach/shapes"
    assert HOME.address("shapes") == "/collections"


def test_a_page_says_what_it_shows() -> None:
    assert all(page.show.__doc__ for page in PAGES)
