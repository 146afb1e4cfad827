"""Describes the machine and the versions that a measurement ran on."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def others_used() -> Iterator[list[float]]:
    """Yields a list that has, at the end, the mean number of processors that other programs used.

    Processes that this one has started count as its own once they have ended.
    """
    result: list[float] = []
    began, busy, own = time.monotonic(), _busy_seconds(), sum(os.times()[:4])
    yield result
    others = _busy_seconds() - busy - (sum(os.times()[:4]) - own)
    result.append(max(0.0, others / (time.monotonic() - began)))


def descendants(pid: int) -> list[int]:
    """Returns the processes that a process has started, and those that these have started."""
    files = Path(f"/proc/{pid}/task").glob("*/children")  # a thread has the children that it has started
    children = [int(child) for file in files for child in file.read_text().split()]
    return [*children, *(inner for child in children for inner in descendants(child))]


def _busy_seconds() -> float:
    """Returns the seconds that all processors together have worked since the system started."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, first.split()[1:])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
