"""Runs the tutorials: every block of a page, in order, and its output beside the printed one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.backbone import bundled
from support.server import ServerProcess

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
_BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def shape(line: str) -> str:
    """Returns a line without its numbers and the width of its columns, which differ between machines."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "#", line)).strip()


def run(language: str, code: str, folder: Path, address: str) -> str:
    """Runs a block in `folder`, where `docs` is that of the repository; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if address:
        environment["GLIMPSE_SERVER"] = address
    shell = ["bash", "-euo", "pipefail", "-c", code]
    command = shell if language == "sh" else [sys.executable, "-c", code.replace("127.0.0.1:50051", address)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("name", ["photographs", "tickets"])
def test_every_block_of_a_tutorial_runs_and_prints_what_the_page_shows(name: str, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    blocks = _BLOCK.findall((TUTORIALS / f"{name}.md").read_text("utf-8"))
    [serve] = [code for _, code in blocks if code.startswith("glimpse serve")]
    start = blocks.index(("sh", serve))
    run_blocks(blocks[:start], tmp_path, "")
    bundle = re.search(r"--backbone (\S+)", serve)
    with ServerProcess(tmp_path, tmp_path / bundle[1] if bundle else bundled()) as server:
        run_blocks(blocks[start + 1 :], tmp_path, server.address)


def run_blocks(blocks: list[tuple[str, str]], folder: Path, address: str) -> None:
    """Runs blocks of code; each line of a block of text has to be in the output of the code before it."""
    printed: list[str] = []
    for language, content in blocks:
        if language == "text":
            assert [line for line in content.splitlines() if shape(line) not in printed] == []
        else:
            printed = [shape(line) for line in run(language, content, folder, address).splitlines()]
