"""ONNX Runtime's sessions: on which provider, with how many threads, and how much memory they keep."""

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Read when the library is first imported; some of its builds report their use otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError

logger = logging.getLogger(__name__)
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
#: ONNX Runtime's names, by ours.
PROVIDERS = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a graph runs: on so many cores, by these providers, and whether others run on the same cores."""

    threads: int
    providers: Sequence[str] = ()
    shared: bool = False


def choose_providers(bundle: Bundle, asked: Sequence[str]) -> list[str]:
    """The providers asked for by short name, best first, and the CPU for what they cannot do.

    None asked for: CUDA where this ONNX Runtime has it. Raises BundleError where one asked for is not there.
    """
    there = ort.get_available_providers()
    if not asked:
        return [name for name in (CUDA, CPU) if name in there]
    for name in asked:
        if PROVIDERS.get(name) not in there:
            raise _not_here(bundle, name)
    return [*dict.fromkeys((*(PROVIDERS[name] for name in asked), CPU))]


def open_session(bundle: Bundle, graph: str, place: Place) -> ort.InferenceSession:
    """A session on one of a bundle's graphs. Raises BundleError."""
    asked, providers = place.providers, choose_providers(bundle, place.providers)
    # The library tells of libraries it does not find on the standard output, which is ours.
    with contextlib.redirect_stdout(sys.stderr):
        if CUDA in providers or TENSORRT in providers:
            ort.preload_dlls(directory="")  # CUDA's, where they were installed as Python packages
        try:
            session = _start(bundle, graph, place, providers)
        except Exception as error:  # the library's exceptions have no common base
            if asked or providers == [CPU]:
                message = f"ONNX Runtime cannot open it: {error}"
                raise BundleError(bundle.path / graph, message) from error
            logger.warning("CUDA cannot be used, so the CPU is: %s", error)
            return open_session(bundle, graph, replace(place, providers=("cpu",)))
    missing = [name for name in providers if name not in session.get_providers()]
    if asked and missing:
        raise _not_here(bundle, next(name for name, long in PROVIDERS.items() if long == missing[0]))
    if missing:
        logger.warning("CUDA could not be started, so %s runs on the CPU", bundle.manifest.name)
    return session


def _start(bundle: Bundle, graph: str, place: Place, providers: Sequence[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = place.threads
    options.inter_op_num_threads = 1
    if bundle.manifest.precision == "fp16":
        # The levels above, which are for processors, crash on some sound 16-bit graphs (seen in ONNX Runtime 1.31).
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    # Threads spin between the operators of a run, and leave their cores to decoding and gRPC when it ends. Where other
    # encoders run on the same cores they do not: two that spin took a quarter of each other's throughput.
    spin = ("session.intra_op.allow_spinning", "0") if place.shared else ("session.force_spinning_stop", "1")
    options.add_session_config_entry(*spin)
    # Weights outside the arena, so that what is shrunk can be given back whole.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return ort.InferenceSession(
        str(bundle.path / graph),
        options,
        providers=[(name, _options(bundle, name)) for name in providers],
        enable_fallback=0,  # what to do instead is decided by the caller
    )


def _options(bundle: Bundle, provider: str) -> dict[str, Any]:
    """What a provider is told. Doubling, the default, would take up to twice the memory that a run needs."""
    if provider == CUDA:
        return {"arena_extend_strategy": "kSameAsRequested"}
    if provider == TENSORRT:
        # Building an engine takes minutes: one is kept for each embedding space.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glimpse" / "tensorrt"
        folder = cache / bundle.manifest.embedding_space
        folder.mkdir(parents=True, exist_ok=True)
        half = str(bundle.manifest.precision == "fp16")
        return {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder), "trt_fp16_enable": half}
    return {}


def shrinking(session: ort.InferenceSession) -> ort.RunOptions:
    """Options for a run after which the memory that it alone needed is given back."""
    options = ort.RunOptions()
    devices = "cpu:0" if session.get_providers() == [CPU] else "cpu:0;gpu:0"
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", devices)
    return options


def _not_here(bundle: Bundle, name: str) -> BundleError:
    there = ", ".join(one for one, long in PROVIDERS.items() if long in ort.get_available_providers())
    known = "pip install 'glimpse-fewshot[gpu]' brings cuda, for a machine with an NVIDIA GPU and its driver"
    more = "; tensorrt needs NVIDIA's TensorRT libraries beside it" if name == "tensorrt" else ""
    return BundleError(bundle.path, f"cannot run on {name} here. This ONNX Runtime has {there}; {known}{more}")
