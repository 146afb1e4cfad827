"""How many processors this process may use, by which every number of threads is chosen that nobody gave.

Here, because every package that chooses such a number may import this one; `glimpse.index`, which may not, takes the
number of threads from its callers.
"""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """The processors this process may use: its affinity, and its control groups' quotas rounded up; at least 1.

    Args:
        root: of the file system; for tests.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *map(math.ceil, _quotas(root))]))


def limit_libraries() -> None:
    """Lowers the threads of the libraries that are loaded to `cores`: of BLAS, OpenMP and Arrow.

    By themselves they follow the affinity and know nothing of quotas. OpenMP keeps the number by thread: call it in the
    thread that computes.
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    most = cores()
    if arrow := sys.modules.get("pyarrow"):
        arrow.set_cpu_count(min(most, arrow.cpu_count()))
    if above := {one["prefix"]: most for one in threadpool_info() if one["num_threads"] > most}:
        threadpool_limits(above)


def _quotas(root: Path) -> Iterator[float]:
    """Processors by every quota on the way from this process's control groups to the root, version 1 and 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux, or no /proc
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2; beside version 1 it is mounted below
            for top in (mount, mount / "unified"):
                for group in _up(top, path):
                    yield from _quota(group / "cpu.max")
        elif "cpu" in controllers.split(","):
            for top in (mount / controllers, mount / "cpu"):
                for group in _up(top, path):
                    yield from _quota(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")


def _up(top: Path, path: str) -> Iterator[Path]:
    """A group's folder and those above it. In a container `path` can be the host's, and only the top is mounted."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:count])


def _quota(*files: Path) -> Iterator[float]:
    """Quota by period, where there is a quota: `max` in version 2, -1 in version 1 say that there is none."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        processors = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
    if processors > 0:
        yield processors
