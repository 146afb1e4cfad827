"""Asks CUDA about GPUs, without asking FAISS where that would end the process.

FAISS aborts if CUDA reports anything but "no device" or "driver too old": a fabric manager that is not running (802), a
driver that was updated without a restart (803), an unknown error (999). So CUDA is asked first.
"""

import ctypes
import logging
from functools import cache
from typing import Any

import faiss

logger = logging.getLogger(__name__)

# FAISS's GPU package has loaded one of them.
_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")


@cache
def gpu_count() -> int:
    """Returns the number of GPUs that FAISS can use; 0 with the CPU package. Logs why there is none."""
    if not hasattr(faiss, "StandardGpuResources"):
        return 0
    if problem := cuda_problem():
        logger.warning("indexes stay on the processor: %s", problem)
        return 0
    return int(faiss.get_num_gpus())


def cuda_problem() -> str | None:
    """Returns why CUDA finds no device, in its own words; None if it finds one."""
    runtime = _runtime()
    if runtime is None:
        return f"none of {', '.join(_RUNTIMES)} can be loaded"
    code = int(runtime.cudaGetDeviceCount(ctypes.byref(ctypes.c_int())))
    if not code:
        return None
    runtime.cudaGetErrorString.restype = ctypes.c_char_p
    return f"{runtime.cudaGetErrorString(code).decode()} (CUDA error {code})"


def free_bytes() -> int:
    """Returns the free memory of the first GPU; 0 if CUDA does not say."""
    runtime, free, total = _runtime(), ctypes.c_size_t(), ctypes.c_size_t()
    if runtime is None or runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)):
        return 0
    return free.value


@cache
def _runtime() -> Any | None:
    for name in _RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
