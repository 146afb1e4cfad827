"""Describes the machine and the versions that a measurement ran on."""

import os
import platform
from importlib.metadata import distributions
from pathlib import Path


def describe() -> dict[str, str]:
    """Returns processor, cores, memory and the versions that affect speed."""
    installed = {distribution.name: distribution.version for distribution in distributions()}
    packages = ("grpcio", "protobuf", "onnxruntime", "onnxruntime-gpu", "faiss-cpu", "faiss-gpu", "numpy", "pillow")
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _field("/proc/meminfo", "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: installed[name] for name in packages if name in installed},
    }


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
