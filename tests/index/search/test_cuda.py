"""CUDA that is installed and unwell is no GPU, and FAISS, which would end the process, is not asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.index.search.cuda import cuda_problem

RUNTIME = """
#include <stdlib.h>
int cudaGetDeviceCount(int *count) { *count = 2; return atoi(getenv("STUB_ERROR")); }
const char *cudaGetErrorString(int code) { return "system not yet initialized"; }
"""
PROGRAM = """
import faiss, logging
logging.basicConfig(format="%(message)s")
faiss.StandardGpuResources = object
def asked():
    print("asked")
    return 2
faiss.get_num_gpus = asked
from glimpse.index.search.cuda import gpu_count
print(gpu_count())
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a CUDA runtime that answers with the error of STUB_ERROR."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which the stand-in for CUDA needs")
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "stub.c").write_text(RUNTIME)
    for version in (12, 13):
        command = [compiler, "-shared", "-fPIC", "-o", f"libcudart.so.{version}", "stub.c"]
        subprocess.run(command, cwd=folder, check=True)
    return folder


def counted(folder: Path, code: int = 0) -> tuple[str, str]:
    """Returns what FAISS was asked and the count, and what was logged."""
    environment = {**os.environ, "STUB_ERROR": str(code), "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout, done.stderr


def test_faiss_is_asked_where_cuda_works(runtime: Path) -> None:
    assert counted(runtime) == ("asked\n2\n", "")


@pytest.mark.parametrize("code", [35, 100, 802, 803, 999])
def test_an_error_of_cuda_is_no_gpu(runtime: Path, code: int) -> None:
    logged = f"indexes stay on the processor: system not yet initialized (CUDA error {code})\n"
    assert counted(runtime, code) == ("0\n", logged)


def test_a_runtime_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glimpse.index.search.cuda._RUNTIMES", ("libabsent.so.1", "libabsent.so.2"))
    assert cuda_problem() == "none of libabsent.so.1, libabsent.so.2 can be loaded"
