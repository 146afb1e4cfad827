"""Versions of the server and of its libraries."""

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

import faiss
import onnxruntime


@functools.cache
def versions() -> dict[str, str]:
    """Returns the versions by name."""
    try:
        own = version("glimpse-fewshot")
    except PackageNotFoundError:  # runs from a source tree without an installation
        own = "unknown"
    return {
        "glimpse": own,
        "onnxruntime": onnxruntime.__version__,
        "faiss": faiss.__version__,
        "python": platform.python_version(),
    }
