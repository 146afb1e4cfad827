"""The figures of one draw, and the store that keeps them in build/ for the next run."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TypeVarTuple

import numpy as np

import glimpse.fewshot
from bench.vectors import ROOT
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_STORE = ROOT / "build" / "fewshot"
_BINS = 15
Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True)
class Figures:
    """Balanced accuracy and ECE in percent, and log-loss."""

    accuracy: float
    log_loss: float
    ece: float

    @classmethod
    def of(cls, probabilities: Floats, rows: Rows) -> "Figures":
        """Measures probabilities, `(n, C)`, against the right columns, `(n,)`."""
        right = probabilities.argmax(1) == rows
        own = np.maximum(probabilities[np.arange(len(rows)), rows], 1e-15)
        top = probabilities.max(1)
        bins = np.minimum((top * _BINS).astype(int), _BINS - 1)
        gaps = [abs(float((right[bins == one] - top[bins == one]).sum())) for one in range(_BINS)]
        return cls(
            100 * float(np.mean([right[rows == row].mean() for row in np.unique(rows)])),
            float(-np.log(own).mean()),
            100 * sum(gaps) / len(rows),
        )

    @classmethod
    def mean(cls, figures: "list[Figures]") -> "Figures":
        """Returns the mean of several draws."""
        return cls(*np.mean(np.array([list(asdict(one).values()) for one in figures], np.float64), 0).tolist())


def stored(name: str, make: Callable[[], Figures]) -> Figures:
    """Returns stored figures by name; makes and stores them if there are none."""
    return Figures(*stored_numbers(name, lambda: list(asdict(make()).values())))


def engine_numbers(name: str, make: Callable[[*Arguments], Sequence[float]], *arguments: *Arguments) -> list[float]:
    """Returns the engine's numbers of one draw, stored by its version, so that a run that stops can be continued."""
    return stored_numbers(f"{engine_version()}/{name}", make, *arguments)


def stored_numbers(name: str, make: Callable[[*Arguments], Sequence[float]], *arguments: *Arguments) -> list[float]:
    """Returns stored numbers by name; makes and stores them if there are none."""
    file = _STORE / f"{name.replace('/', '-')}.json"
    if not file.is_file():
        numbers = [float(number) for number in make(*arguments)]
        _STORE.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(numbers), "utf-8")
    return [float(number) for number in json.loads(file.read_text("utf-8"))]


@cache
def engine_version() -> str:
    """Returns a digest of the engine's source, by which its figures are stored: another source is measured again."""
    [folder] = map(Path, glimpse.fewshot.__path__)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
