"""Explains in one line why an installed provider does not start, or why a run on it failed."""

import ctypes
import re
from pathlib import Path

import onnxruntime as ort

_DRIVER = "NVIDIA's driver, 580 or later, brings it; in a container, NVIDIA's container toolkit (docker run --gpus all)"
_TENSORRT = "NVIDIA's TensorRT brings it, which no extra of Glimpse installs"
# What brings a library, by the start of its name.
_SOURCES = {
    "libcuda.": _DRIVER,
    "libnvinfer": _TENSORRT,
    "libnvonnxparser": _TENSORRT,
    "libcublas": "the package nvidia-cublas brings it",
    "libcudart": "the package nvidia-cuda-runtime brings it",
    "libcudnn": "the package nvidia-cudnn-cu13 brings it",
    "libcufft": "the package nvidia-cufft brings it",
    "libcurand": "the package nvidia-curand brings it",
    "libnvrtc": "the package nvidia-cuda-nvrtc brings it",
}
# ONNX Runtime loads cuDNN at the first operator that needs it, and names no file.
_CUDNN_MISSING, _CUDNN = "cuDNN is not available", "libcudnn.so.9"
_FAILURE = re.compile(r"\b(\w+) failure (\d+): ([^;\n]+?) *;")
# What to do after an error of CUDA.
_REMEDIES = {
    35: "install a driver of 580 or later",
    100: "no GPU is visible: check nvidia-smi, CUDA_VISIBLE_DEVICES and, in a container, docker run --gpus all",
    209: "the installed ONNX Runtime has no code for this GPU's architecture, see docs/gpu.md",
    802: "start NVIDIA's fabric manager",
    803: "restart the machine, whose driver was updated",
}


def run_failure(error: Exception) -> str:
    """Returns what a GPU's library says in an error of ONNX Runtime, with what to do; for other errors, their text."""
    text = str(error)
    if _CUDNN_MISSING in text:
        return _missing(_CUDNN)
    if match := _FAILURE.search(text):
        library, code, message = match[1], int(match[2]), match[3]
        remedy = _REMEDIES.get(code) if library == "CUDA" else None
        return f"{message} ({library} error {code})" + (f"; {remedy}" if remedy else "")
    return text


def start_failure(provider: str) -> str:
    """Returns why a provider of this ONNX Runtime is not used by a session that opened without it.

    ONNX Runtime only logs the reason. Nearly always a library is missing, and loading the provider names it.

    Args:
        provider: the short name, "cuda" or "tensorrt".
    """
    file = Path(ort.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        name, _, reason = str(error).partition(": ")
        return _missing(name) if "No such file" in reason else str(error)
    return "ONNX Runtime logged the reason above"


def _missing(name: str) -> str:
    source = next((source for start, source in _SOURCES.items() if name.startswith(start)), "")
    return f"{name} cannot be loaded" + (f"; {source}" if source else "")
