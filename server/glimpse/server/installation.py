"""Checks that the environment has what the settings need, and one build of each native library."""

from importlib.metadata import PackageNotFoundError, distribution

import faiss

from glimpse.index.search.cuda import cuda_problem, gpu_count
from glimpse.server.settings import Settings, SettingsError

# All distributions of a row install the same module, so the one installed last overwrites files of the others.
_BUILDS = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs"))


def check_installation() -> None:
    """Checks that no library is installed in two builds, such as that for CPUs and that for GPUs.

    Raises:
        SettingsError: Two builds are installed. The message has the commands that leave one of them.
    """
    for builds in _BUILDS:
        installed = [name for name in builds if _installed(name)]
        if len(installed) > 1:
            raise SettingsError(
                f"{' and '.join(installed)} are both installed and overwrite each other; "
                f"keep one: pip uninstall {' '.join(installed)}, then "
                "pip install --force-reinstall 'glimpse-fewshot[gpu]' (or 'glimpse-fewshot[server]' without a GPU)"
            )


def check_index_device(settings: Settings) -> None:
    """Raises SettingsError if indexes are to be searched on a GPU and FAISS has none."""
    if settings.index_device == "gpu" and not gpu_count():
        reason = cuda_problem() if hasattr(faiss, "StandardGpuResources") else "this FAISS is the build for processors"
        raise SettingsError(
            f"index_device is gpu, and there is none: {reason}; pip install 'glimpse-fewshot[gpu]' on a machine with "
            "an NVIDIA GPU and its driver, or set index_device to auto"
        )


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
