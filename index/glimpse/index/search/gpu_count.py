"""Counts the GPUs that FAISS can use, without asking FAISS where that would end the process.

FAISS aborts if CUDA reports anything but "no device" or "driver too old": a fabric manager that is not running (802), a
driver that was updated without a restart (803), an unknown error (999). So CUDA is asked first.
"""

import ctypes
import logging
from functools import cache

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
    for name in _RUNTIMES:
        try:
            runtime = ctypes.CDLL(name)
        except OSError:
            continue
        code = int(runtime.cudaGetDeviceCount(ctypes.byref(ctypes.c_int())))
        if not code:
            return None
        runtime.cudaGetErrorString.restype = ctypes.c_char_p
        return f"{runtime.cudaGetErrorString(code).decode()} (CUDA error {code})"
    return f"none of {', '.join(_RUNTIMES)} can be loaded"
