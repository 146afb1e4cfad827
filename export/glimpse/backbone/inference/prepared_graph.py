"""Keeps graphs as ONNX Runtime has prepared them, so that sessions open quickly and share their weights.

When ONNX Runtime opens a graph, it rearranges the graph and packs its weights for this processor. Every session does
so for itself, and holds its own copy. A prepared graph has been through this once: sessions map its weights from a
file, so that two sessions need almost the memory of one. Sessions of a ViT-B/32 opened in 0.2 s instead of 1.1 s.

ONNX Runtime documents the format in `session.save_external_prepacked_constant_initializers`. A file serves one version
of ONNX Runtime and one kind of processor; both are part of its name.
"""

import hashlib
import logging
import os
import platform
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.files.cache import cache_folder
from glimpse.files.scratch import scratch_beside

logger = logging.getLogger(__name__)
_GRAPH, _WEIGHTS = "graph.onnx", "weights.bin"
# Smaller weights stay in the graph's own file.
_MIN_WEIGHT_BYTES = 1_024
# A prepared graph that was not opened for this long is removed when another one is made.
_UNUSED_SECONDS = 30 * 86_400
_ERRORS_ONLY = 3


def prepared_graph(bundle: Bundle, graph: str, level: ort.GraphOptimizationLevel) -> Path | None:
    """Returns the prepared form of a graph for the CPU, and makes it if there is none.

    Args:
        bundle: a loaded bundle.
        graph: the graph's file name.
        level: how far ONNX Runtime may rearrange the graph.

    Returns:
        The file to open, or None if it cannot be made: the cache folder cannot be written or is full, or ONNX Runtime
        cannot open the graph.
    """
    # Weights may lie in a file of their own beside the graph.
    digests = sorted(f"{name} {digest}" for name, digest in bundle.manifest.files.items() if name.startswith(graph))
    try:
        folder = cache_folder() / "graphs" / f"{_name(digests)}-{_environment(level)}"
        file = folder / _GRAPH
        if not file.is_file():
            shutil.rmtree(folder, ignore_errors=True)  # a part, which somebody left
            _prepare(bundle.path / graph, folder, level)
        _check_owner(folder.parent)
        _check_owner(folder)
        with suppress(OSError):  # the folder cannot be written, and so is never removed
            os.utime(folder)
        return file
    except Exception as error:  # the exceptions of ONNX Runtime have no common base
        logger.warning("%s is opened without a prepared copy: %s", bundle.path / graph, error)
        return None


def _prepare(graph: Path, folder: Path, level: ort.GraphOptimizationLevel) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_unused(folder.parent)
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = _ERRORS_ONLY  # it warns that the result serves this processor only
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_min_size_in_bytes", str(_MIN_WEIGHT_BYTES)
    )
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    with scratch_beside(folder) as scratch:
        result = scratch / "result"
        result.mkdir(mode=0o700)
        options.optimized_model_filepath = str(result / _GRAPH)
        ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        for file in result.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream)
        try:
            result.rename(folder)
        except OSError:
            if not (folder / _GRAPH).is_file():  # otherwise another process was faster
                raise


def _check_owner(folder: Path) -> None:
    """Checks that nobody else can put a graph there. Raises PermissionError."""
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise PermissionError(f"another user can change {folder}")


def _environment(level: ort.GraphOptimizationLevel) -> str:
    """Returns a name of what a prepared graph depends on besides the graph."""
    parts = [ort.__version__, platform.machine(), str(level)]
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        parts += sorted({line for line in file if line.startswith(("model name", "flags", "Features"))})
    return _name(parts)


def _name(parts: Sequence[str]) -> str:
    """Returns a digest that serves as a file name."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    for entry in folder.iterdir():
        with suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry)
