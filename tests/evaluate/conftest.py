"""Drawings of an alphabet that glimpse-mini never saw, and the command run in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.cli.main import main
from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet


@dataclass(frozen=True)
class Done:
    """The result of a command, and the folder of its report."""

    code: Any
    out: str
    err: str
    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "evaluation.json").read_text("utf-8"))
        return found

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text("utf-8")

    def result(self, shots: int, head: str = "auto", backbone: str = "glimpse-mini") -> dict[str, Any]:
        [one] = [
            one
            for one in self.record["results"]
            if (one["backbone"], one["head"], one["shots"]) == (backbone, head, shots)
        ]
        return dict(one)


Evaluate = Callable[..., Done]


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Runs `glimpse evaluate …` with a cache of the test's own."""
    # The command's settings for its subcommands end with the test.
    monkeypatch.setenv("GLIMPSE_FORMAT", "table")
    monkeypatch.setenv("COLUMNS", "80")

    def run(data: Path, *arguments: object) -> Done:
        out = tmp_path / "out"
        words = ["evaluate", data, "--out", out, "--cache", tmp_path / "cache", *arguments]
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, words)))
        printed = capsys.readouterr()
        # The interpreter prints a message given as the exit code, and exits with 1.
        message = ended.value.code if isinstance(ended.value.code, str) else ""
        return Done(1 if message else ended.value.code, printed.out, printed.err + message, out)

    return run


def draw(folder: Path, labels: int, each: int, *, first: int = 0) -> Path:
    """Writes a folder with a subfolder of drawings for each character."""
    rng = np.random.default_rng(first)
    characters = Alphabet(HELD_OUT_SEED, first + labels).characters[first:]
    for number, character in enumerate(characters, first):
        (folder / f"char_{number}").mkdir(parents=True)
        for copy in range(each):
            character.draw(rng).save(folder / f"char_{number}" / f"{copy}.png")
    return folder


@pytest.fixture(scope="session")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes six characters with ten drawings each."""
    return draw(tmp_path_factory.mktemp("data") / "drawings", 6, 10)


@pytest.fixture(scope="session")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes six drawings each of five other characters."""
    return draw(tmp_path_factory.mktemp("data") / "unknown", 5, 6, first=6)
