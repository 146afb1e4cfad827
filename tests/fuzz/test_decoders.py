"""Runs the coverage-guided fuzzer on the code that reads untrusted bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")
_TARGETS = ["pictures", "vectors", "texts", "tokens", "bundle-manifests", "index-manifests", "faiss-files", "graphs"]


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("target", _TARGETS)
def test_a_decoder_decodes_or_refuses(target: str, inputs: int, tmp_path: Path) -> None:
    seed = os.getpid() if "GLIMPSE_FUZZ" in os.environ else 1
    command = [sys.executable, "-m", "support.decoders", target, str(tmp_path), str(inputs), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0, f"seed {seed}\n{done.stderr[-3_000:]}"
