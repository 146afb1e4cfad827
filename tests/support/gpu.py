"""Skips or fails tests that need a GPU, and makes a driver that fails."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

#: A driver for CUDA whose every call answers with the error of STUB_ERROR, as that of a machine whose GPU is unwell.
_DRIVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
int failure(void) { return atoi(getenv("STUB_ERROR")); }
int cuInit(unsigned flags) { return failure(); }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "stub"; return 0; }
int cuGetErrorName(int error, const char **text) { *text = "STUB"; return 0; }
int cuGetExportTable(const void **table, const void *id) { *table = 0; return failure(); }
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long flags, int *status) {
    Dl_info self;
    void *library, *known = 0;
    if (dladdr((void *)failure, &self) && (library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD)))
        known = dlsym(library, strcmp(name, "cuGetProcAddress") ? name : "cuGetProcAddress_v2");
    *function = known ? known : (void *)failure;
    if (status) *status = 0;
    return 0;
}
int cuGetProcAddress(const char *name, void **function, int version, unsigned long flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}
int cuModuleGetFunction(void) { return failure(); }
int cuModuleLoadData(void) { return failure(); }
int cuModuleUnload(void) { return failure(); }
int cuTensorMapEncodeIm2col(void) { return failure(); }
int cuTensorMapEncodeTiled(void) { return failure(); }
"""


def gpu_expected() -> bool:
    """Returns whether tests must find a GPU: GLIMPSE_GPU says 1 or 0; by default whether the machine has one."""
    return os.environ.get("GLIMPSE_GPU", str(int(Path("/dev/nvidia0").exists()))) == "1"


def gpu_missing(reason: str) -> NoReturn:
    """Skips a test that needs a GPU; fails it where a GPU is expected."""
    if gpu_expected():
        pytest.fail(f"{reason} (GLIMPSE_GPU=0 skips the tests that need a GPU)")
    pytest.skip(reason)


def stub_driver(folder: Path) -> Path:
    """Compiles libcuda.so.1 in `folder`, whose error STUB_ERROR sets. Put the folder first in LD_LIBRARY_PATH."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which the driver needs")
    (folder / "driver.c").write_text(_DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "libcuda.so.1", "driver.c", "-ldl"], cwd=folder, check=True)
    return folder
