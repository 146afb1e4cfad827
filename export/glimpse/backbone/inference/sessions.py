"""Opens ONNX Runtime sessions: chooses providers, threads and how memory is kept."""

import contextlib
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.prepared_graph import prepared_graph
from glimpse.backbone.inference.provider_failures import run_failure, start_failure
from glimpse.files.cache import cache_folder

logger = logging.getLogger(__name__)
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
#: ONNX Runtime's provider names by the short names that users give.
PROVIDERS = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Settings for running a graph.

    Attributes:
        threads: cores for one run on the CPU.
        providers: short names, best first; empty for the default.
        shared: whether other encoders run on the same cores.
        side_by_side: whether runs on one core each should go side by side on the CPU.
    """

    threads: int
    providers: Sequence[str] = ()
    shared: bool = False
    side_by_side: bool = False


def choose_providers(bundle: Bundle, asked: Sequence[str]) -> list[str]:
    """Returns ONNX Runtime's names of the providers to use, best first, with the CPU last as the fallback.

    Args:
        bundle: is named in errors.
        asked: short names; none: CUDA if this ONNX Runtime has it.

    Raises:
        BundleError: a provider that was asked for is unavailable.
    """
    available = ort.get_available_providers()
    if not asked:
        return [name for name in (CUDA, CPU) if name in available]
    for name in asked:
        if PROVIDERS.get(name) not in available:
            raise _not_installed(bundle, name)
    return [*dict.fromkeys((*(PROVIDERS[name] for name in asked), CPU))]


def open_sessions(
    bundle: Bundle, graph: str, config: SessionConfig
) -> tuple[ort.InferenceSession, ort.InferenceSession | None]:
    """Opens a session on one of a bundle's graphs, and one that uses a single core if `config` asks for it.

    There is no second one for one thread, or if the graph's prepared form cannot be made: it would hold all weights
    again.

    Raises:
        BundleError: see `open_session`.
    """
    if (
        config.side_by_side
        and choose_providers(bundle, config.providers) == [CPU]
        and (prepared := prepared_graph(bundle, graph, _level(bundle)))
    ):
        try:
            whole = _prepared_session(prepared, config)
            single = _prepared_session(prepared, replace(config, threads=1)) if config.threads > 1 else None
        except Exception as error:  # the library's exceptions have no common base
            logger.warning("%s is removed, because it cannot be opened: %s", prepared, error)
            shutil.rmtree(prepared.parent, ignore_errors=True)
        else:
            return whole, single
    return open_session(bundle, graph, config), None


def open_session(bundle: Bundle, graph: str, config: SessionConfig) -> ort.InferenceSession:
    """Opens a session on one of a bundle's graphs.

    If CUDA is only the default and cannot be used, the session runs on the CPU and a warning is logged.

    Raises:
        BundleError: ONNX Runtime cannot open the graph, or a provider that was asked for is unavailable.
    """
    asked, providers = config.providers, choose_providers(bundle, config.providers)
    # ONNX Runtime reports missing libraries on standard output, which belongs to the command.
    with contextlib.redirect_stdout(sys.stderr):
        if CUDA in providers or TENSORRT in providers:
            ort.preload_dlls(directory="")  # finds CUDA libraries that were installed as Python packages
        try:
            session = _start(bundle, graph, config, providers)
        except Exception as error:  # the library's exceptions have no common base
            if asked or providers == [CPU]:
                message = f"ONNX Runtime cannot open it: {run_failure(error)}"
                raise BundleError(bundle.path / graph, message) from error
            logger.warning("CUDA is not usable, %s runs on the CPU: %s", bundle.manifest.name, run_failure(error))
            return open_session(bundle, graph, replace(config, providers=("cpu",)))
    for name, long in PROVIDERS.items():
        if long in providers and long not in session.get_providers():
            reason = start_failure(name)
            if asked:
                raise BundleError(bundle.path, f"cannot run on {name} here: {reason}")
            logger.warning("CUDA is not usable, %s runs on the CPU: %s", bundle.manifest.name, reason)
    return session


def _start(bundle: Bundle, graph: str, config: SessionConfig, providers: Sequence[str]) -> ort.InferenceSession:
    options = _session_options(config, _level(bundle))
    if providers[0] != CPU:
        # Planned memory would be kept for each prepared shape on its own.
        options.enable_mem_pattern = False
    return ort.InferenceSession(
        str(bundle.path / graph),
        options,
        providers=[(name, _options(bundle, name)) for name in providers],
        enable_fallback=0,  # the code above decides about the fallback
    )


def _prepared_session(file: Path, config: SessionConfig) -> ort.InferenceSession:
    options = _session_options(config, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    return ort.InferenceSession(str(file), options, providers=[CPU])


def _level(bundle: Bundle) -> ort.GraphOptimizationLevel:
    # Higher optimization levels target processors, and crash on some valid fp16 graphs (observed in ONNX Runtime 1.31).
    fp16 = bundle.manifest.precision == "fp16"
    return ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED if fp16 else ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def _session_options(config: SessionConfig, level: ort.GraphOptimizationLevel) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    # By default threads spin between the operators of a run, and stop at its end to leave the cores to decoding and
    # gRPC. If other encoders run on the same cores, threads do not spin at all: two spinning encoders each lost a
    # quarter of their throughput.
    spin = ("session.intra_op.allow_spinning", "0") if config.shared else ("session.force_spinning_stop", "1")
    options.add_session_config_entry(*spin)
    # Keep weights outside of the arena, so that shrinking it can free whole blocks.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return options


def _options(bundle: Bundle, provider: str) -> dict[str, Any]:
    """Returns a provider's options.

    CUDA's default, doubling the arena, would take up to twice the memory that a run needs. TF32, which is on by default
    too, would multiply in 10 bits what a bundle declares as fp32, and its vectors would differ from those of a CPU. A
    bundle in fp16 has that precision as well, is faster, and its export has measured the difference.
    """
    if provider == CUDA:
        return {"arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
    if provider == TENSORRT:
        # Building an engine takes minutes, so one is cached for each embedding space.
        folder = cache_folder() / "tensorrt" / bundle.manifest.embedding_space
        folder.mkdir(parents=True, exist_ok=True)
        half = str(bundle.manifest.precision == "fp16")
        return {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder), "trt_fp16_enable": half}
    return {}


def shrinking(session: ort.InferenceSession) -> ort.RunOptions:
    """Returns options for a run after which ONNX Runtime frees the memory that only this run needed."""
    options = ort.RunOptions()
    devices = "cpu:0" if session.get_providers() == [CPU] else "cpu:0;gpu:0"
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", devices)
    return options


def _not_installed(bundle: Bundle, name: str) -> BundleError:
    available = ", ".join(short for short, long in PROVIDERS.items() if long in ort.get_available_providers())
    hint = "pip install 'glimpse-fewshot[gpu]' brings cuda, for a machine with an NVIDIA GPU and its driver"
    more = "; tensorrt also needs NVIDIA's TensorRT libraries" if name == "tensorrt" else ""
    return BundleError(bundle.path, f"cannot run on {name} here. This ONNX Runtime has {available}; {hint}{more}")
