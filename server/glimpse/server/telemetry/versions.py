"""Versions of what answers."""

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

import faiss
import onnxruntime


@functools.cache
def versions() -> dict[str, str]:
    """By name."""
    try:
        own = version("glimpse-fewshot")
    except PackageNotFoundError:  # run from its sources
        own = "unknown"
    return {
        "glimpse": own,
        "onnxruntime": onnxruntime.__version__,
        "faiss": faiss.__version__,
        "python": platform.python_version(),
    }
