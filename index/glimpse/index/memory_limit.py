"""How much memory there is to take: of the machine, and of the container or service that this runs in."""

import os
from collections.abc import Iterator
from pathlib import Path

# What names the limit of a control group, what it uses, and the part of that which files have, and which can be taken.
_V2 = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def memory_bytes(root: Path = Path("/")) -> int:
    """What can be taken now without swapping, and without being killed for it. `root`: where proc and sys are."""
    return max(0, min([_of_machine(root), *_of_groups(root)]))


def _of_machine(root: Path) -> int:
    file = root / "proc/meminfo"
    if file.is_file():
        found = dict(line.split(":", 1) for line in file.read_text("ascii").splitlines())
        return 1024 * int(found["MemAvailable"].split()[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_groups(root: Path) -> Iterator[int]:
    """What is left below each limit, of one's own group and of those around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            own = top / path.lstrip("/")
            # Within a container the path may be of the machine, and lead nowhere: what is there is the top.
            for folder in {top, own, *(one for one in own.parents if one.is_relative_to(top))}:
                yield from _of_group(folder, _V1 if controllers else _V2)


def _of_group(folder: Path, names: tuple[str, str, tuple[str, str]]) -> Iterator[int]:
    limit, used, files = names
    try:
        most = (folder / limit).read_text("ascii").strip()
        if most != "max":
            told = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
            cached = sum(int(told.get(name, 0)) for name in files)
            yield int(most) - int((folder / used).read_text("ascii")) + cached
    except (OSError, ValueError):
        return  # no limit is named here
