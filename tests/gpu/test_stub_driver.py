"""The GPU packages on a machine whose driver is unwell: no crash, and the reason in CUDA's own words. Needs no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest

from glimpse.backbone.inference.sessions import CUDA
from support.gpu import gpu_missing, stub_driver

PROGRAM = """
import logging, sys
logging.basicConfig(format="%(message)s")
from glimpse.backbone import BundleError, Encoder, bundled, load_bundle
from glimpse.index.search.cuda import gpu_count
print(gpu_count())
bundle = load_bundle(bundled())
print(Encoder(bundle, threads=1).providers)
try:
    Encoder(bundle, threads=1, providers=["cuda"])
except BundleError as error:
    print(error)
"""


@pytest.fixture(scope="session", autouse=True)
def cuda() -> None:
    """Skips all tests unless the GPU packages are installed; overrides the fixture that asks for a GPU."""
    if CUDA not in ort.get_available_providers():
        gpu_missing("this ONNX Runtime is the build for processors; pip install 'glimpse-fewshot[gpu]'")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stub_driver(tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (35, "CUDA driver version is insufficient for CUDA runtime version (CUDA error 35); install a driver of 580"),
        (100, "no CUDA-capable device is detected (CUDA error 100); no GPU is visible"),
        (802, "system not yet initialized (CUDA error 802); start NVIDIA's fabric manager"),
        (803, "system has unsupported display driver / cuda driver combination (CUDA error 803); restart the machine"),
        (999, "unknown error (CUDA error 999)"),
    ],
)
def test_a_driver_that_is_unwell_is_no_gpu(driver: Path, code: int, words: str) -> None:
    environment = {**os.environ, "STUB_ERROR": str(code), "LD_LIBRARY_PATH": str(driver)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    count, providers, refusal = done.stdout.splitlines()
    assert count == "0"
    assert providers == "['CPUExecutionProvider']"
    assert words in refusal
    log = done.stderr.splitlines()
    assert any(line.startswith("indexes stay on the processor: ") and f"(CUDA error {code})" in line for line in log)
    assert any(line.startswith("CUDA is not usable, glimpse-mini runs on the CPU: ") and words in line for line in log)
