"""docs/cli.md is what the commands say."""

import importlib.util
from pathlib import Path

import pytest
import typer

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_cli.py"


def test_the_reference_is_not_stale() -> None:
    spec = importlib.util.spec_from_file_location("generate_cli", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = generator.PAGE.read_text("utf-8")
    if f"typer {typer.__version__};" not in written:
        pytest.skip("made with another version of typer, which words its help in its own way")
    assert written == generator.render(), "docs/cli.md is stale: run `make docs`"
