"""A build killed at any moment continues: nothing is lost, and written rows are not embedded again."""

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.building import failed, logged, rows, shards, start, texts, written
from support.bundles import tiny_dual_bundle

_INPUTS, _ROUNDS = 2_700, 8
_IN_PART = 3
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Case:
    """A build of texts, two of which cannot be read, with the result and the cost of an uninterrupted run."""

    arguments: Sequence[object]
    whole: Path
    seconds: float
    steps: int

    def go(self, out: Path, log: Path, die_at: int = 0, kill_after: float | None = None) -> int:
        """Runs the command with --resume. Returns its exit code, which is negative if it was killed."""
        before = written(out) if out.exists() else set()
        process = start(log, [*self.arguments, "--out", out, "--resume"], die_at)
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert process.returncode in (_IN_PART, -signal.SIGKILL), err
        again = logged(log) & before
        assert not again, f"{len(again)} embedded twice"
        return process.returncode

    def check(self, out: Path) -> None:
        """Checks that the result is, byte for byte, that of a build without interruptions."""
        assert shards(out) == shards(self.whole)
        assert len(rows(out)) == _INPUTS
        assert (out / "errors.parquet").read_bytes() == (self.whole / "errors.parquet").read_bytes()
        assert set(failed(out).values()) == {"ROW_MALFORMED"}
        assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in self.whole.iterdir())


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("resume")
    tiny_dual_bundle(folder / "bundle", dimension=32)
    data = texts(folder / "data.jsonl", _INPUTS)
    lines = data.read_text().splitlines()
    lines[300:300] = ["no JSON"]
    lines[2_000:2_000] = ['{"id": "empty", "text": ""}']
    data.write_text("\n".join(lines) + "\n")
    # Shards of two windows, so that kills fall between them.
    arguments = [data, "--backbone", folder / "bundle", "--shard-size", 512, "--threads", 1]
    process = start(folder / "log", [*arguments, "--out", folder / "whole"])
    began = time.monotonic()
    out, err = process.communicate()
    assert process.returncode == _IN_PART, err
    assert len(logged(folder / "log")) == _INPUTS
    steps = int(out.rsplit("steps ", 1)[1])
    assert len(shards(folder / "whole")) == 6
    return Case(arguments, folder / "whole", time.monotonic() - began, steps)


def test_killed_again_and_again_at_random_moments(case: Case, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments, out = random.Random(seed), tmp_path / "out"
    killed = sum(
        case.go(out, tmp_path / "log", kill_after=moments.uniform(0, case.seconds / 3)) < 0 for _ in range(_ROUNDS)
    )
    assert killed
    assert case.go(out, tmp_path / "log") == _IN_PART
    case.check(out)


@pytest.mark.parametrize("part", range(_ROUNDS))
def test_killed_before_a_change_to_the_disk(case: Case, part: int, tmp_path: Path) -> None:
    """Kills at one moment within each eighth of a build, from its first file to its last removal, and again after
    resuming.
    """
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments, out = random.Random(seed), tmp_path / "out"
    step = 1 + (case.steps * part + moments.randrange(case.steps)) // _ROUNDS
    assert case.go(out, tmp_path / "log", die_at=step) < 0
    case.go(out, tmp_path / "log", die_at=moments.randrange(1, 40))
    assert case.go(out, tmp_path / "log") == _IN_PART
    case.check(out)
