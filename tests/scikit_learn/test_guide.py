"""The page and the notebook about the estimator run, and show what they print."""

import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from support.server import ServerProcess

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebooks" / "shapes.ipynb"
# Processors round differently, so that a figure may differ in its last digits.
_TOLERANCE = 0.06
_NUMBER = re.compile(r"\d+(?:\.\d*)?")


@pytest.mark.rest
def test_the_page_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "scikit-learn.md").read_text("utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    for name in ("shapes", "unknowns"):
        (tmp_path / name).symlink_to(ROOT / "examples" / name)
    with ServerProcess(tmp_path) as server:
        command = [sys.executable, "-c", code.replace("127.0.0.1:50051", server.address)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["['circle', 'square', 'star']", "['star', 'circle']"]
    assert lines[3:5] == ["['star', 'none']", "['MATCH', 'UNKNOWN']"]
    assert lines[6:] == ["['circle', 'heart', 'square', 'star']", "['star']"]


def printed(cell: Any) -> str:
    return "".join(output["text"] for output in cell.get("outputs", []) if output["output_type"] == "stream")


def pictures(cell: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


@pytest.mark.rest
def test_the_notebook_prints_what_it_shows() -> None:
    shown = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    run = deepcopy(shown)
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(run, timeout=60, resources=folder).execute()
    code = [(old, new) for old, new in zip(shown.cells, run.cells, strict=True) if old.cell_type == "code"]
    assert sum(pictures(new) for _, new in code) == 3
    for old, new in code:
        assert pictures(new) == pictures(old), old.source
        assert _NUMBER.sub("N", printed(new)) == _NUMBER.sub("N", printed(old)), old.source
        numbers = [float(number) for number in _NUMBER.findall(printed(old))]
        assert [float(number) for number in _NUMBER.findall(printed(new))] == pytest.approx(numbers, abs=_TOLERANCE)
