"""Available memory, of the machine and of the container or service that limits this process."""

import os
from collections.abc import Iterator
from pathlib import Path

# Files with the limit of a control group and with its use, and the fields of memory.stat for cached files, which can be
# freed.
_V2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def memory_bytes(root: Path = Path("/")) -> int:
    """Returns the bytes that can be allocated now without swapping and without exceeding a limit.

    Args:
        root: the folder that contains proc and sys, for tests.
    """
    return max(0, min([_of_machine(root), *_of_groups(root)]))


def _of_machine(root: Path) -> int:
    file = root / "proc/meminfo"
    if file.is_file():
        fields = dict(line.split(":", 1) for line in file.read_text("ascii").splitlines())
        return 1024 * int(fields["MemAvailable"].split()[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_groups(root: Path) -> Iterator[int]:
    """Yields the free bytes below each limit, of this process's control group and of its parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            own = top / path.lstrip("/")
            # In a container the path may be the host's and not exist; then only the top applies.
            for folder in {top, own, *(parent for parent in own.parents if parent.is_relative_to(top))}:
                yield from _of_group(folder, _V1 if controllers else _V2)


def _of_group(folder: Path, names: tuple[str, str, tuple[str, str]]) -> Iterator[int]:
    limit, used, files = names
    try:
        most = (folder / limit).read_text("ascii").strip()
        if most != "max":
            fields = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
            cached = sum(int(fields.get(name, 0)) for name in files)
            yield int(most) - int((folder / used).read_text("ascii")) + cached
    except (OSError, ValueError):
        return  # this group has no limit
