"""Counts the processors that this process may use; the default of every number of threads.

The module is here because every package that needs such a default may import this one. `glimpse.index` may not, so its
callers give it the number of threads.
"""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """Returns the number of processors this process may use, at least 1.

    It is the smaller of the CPU affinity and the quotas of the control groups, rounded up.

    Args:
        root: root of the file system, for tests.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *map(math.ceil, _quotas(root))]))


def limit_libraries() -> None:
    """Lowers the thread counts of the loaded libraries (BLAS, OpenMP and Arrow) to `cores`.

    By default these libraries follow the affinity and ignore quotas. OpenMP keeps its number per thread, so call this
    in the thread that computes.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    most = cores()
    if arrow := sys.modules.get("pyarrow"):
        arrow.set_cpu_count(min(most, arrow.cpu_count()))
    if above := {pool["prefix"]: most for pool in threadpool_info() if pool["num_threads"] > most}:
        threadpool_limits(above)


def _quotas(root: Path) -> Iterator[float]:
    """Yields every CPU quota between this process's control groups (versions 1 and 2) and the root, in processors."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux, or no /proc
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2; next to version 1 it is mounted in a folder below
            for top in (mount, mount / "unified"):
                for group in _up(top, path):
                    yield from _quota(group / "cpu.max")
        elif "cpu" in controllers.split(","):
            for top in (mount / controllers, mount / "cpu"):
                for group in _up(top, path):
                    yield from _quota(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")


def _up(top: Path, path: str) -> Iterator[Path]:
    """Yields a group's folder and its parents. In a container `path` can be the host's, with only the top mounted."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:count])


def _quota(*files: Path) -> Iterator[float]:
    """Yields quota / period if there is a quota; `max` (version 2) and -1 (version 1) mean that there is none."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        processors = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
    if processors > 0:
        yield processors
