"""Tests that docs/cli.md matches the commands."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from glimpse.cli.commands import COMMANDS, command

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_cli.py"
PAGE = GENERATOR.with_name("cli.md")


def test_the_reference_is_not_stale() -> None:
    spec = importlib.util.spec_from_file_location("generate_cli", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = generator.PAGE.read_text("utf-8")
    if f"typer {typer.__version__};" not in written:
        pytest.skip("made with another version of typer, whose help has another format")
    assert written == generator.render(), "docs/cli.md is stale: run `make docs`"


def leaves(node: Any) -> Iterator[Any]:
    """Yields the commands without subcommands, at any depth."""
    if not hasattr(node, "commands"):
        yield node
    else:
        for child in node.commands.values():
            yield from leaves(child)


def test_the_page_lists_which_subcommands_take_server_and_format() -> None:
    root = command()
    context = root.context_class(root, info_name="glimpse")
    lacking: dict[str, set[str]] = {"server": set(), "output": set()}
    for name in COMMANDS:
        node = root.get_command(context, name)
        for leaf in leaves(node):
            for option in lacking.keys() - {parameter.name for parameter in leaf.params}:
                lacking[option].add(name if leaf is node or name == "export" else f"{name} {leaf.name}")
    on_folders = {f"index {name}" for name in ("build", "info", "search", "verify", "merge")}
    on_folders |= {"experiments list", "experiments compare"}
    on_files = {"evaluate", "export", "pull", "backbones verify", "backbones bench", *on_folders}
    on_ledgers = {f"keys {name}" for name in ("create", "list", "revoke")}
    on_ledgers |= {f"ledger {name}" for name in ("backup", "restore", "verify", "export", "import", "log")}
    assert lacking == {"server": {"demo", "serve", *on_files, *on_ledgers}, "output": {"console", "demo", "serve"}}
    page = " ".join(PAGE.read_text("utf-8").split())
    assert "`demo` and `serve` take neither, and `console` takes `--server` alone" in page
    assert all(f"`{name}`" in page for name in on_files)


def groups(node: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Yields the path and the help of commands with subcommands, on a terminal of 80 columns."""
    context = node.context_class(node, info_name=name, parent=parent, terminal_width=80, max_content_width=80)
    if hasattr(node, "list_commands"):
        yield context.command_path, node.get_help(context)
        for child in node.list_commands(context):
            yield from groups(node.get_command(context, child), child, context)


def test_no_line_of_a_list_of_subcommands_is_cut() -> None:
    helps = dict(groups(command(), "glimpse"))
    assert {"glimpse ledger", "glimpse collections re-embed", "glimpse export"} <= helps.keys()
    for path, text in helps.items():
        listed = text.partition("\nCommands:\n")[2].splitlines()
        assert listed, path
        assert [line for line in listed if line.endswith(("...", "…")) or len(line) > 80] == [], path
