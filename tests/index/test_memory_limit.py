"""Available memory: that of the machine, or the rest below a container's limit."""

from pathlib import Path

import pytest

from glimpse.index.memory_limit import memory_bytes

MB = 1 << 20


def system(root: Path, files: dict[str, str]) -> Path:
    """Returns the files of a machine with 1,000 MB of available memory."""
    for name, content in {"proc/meminfo": f"MemAvailable: {1000 * MB // 1024} kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_it_is_that_of_this_machine() -> None:
    assert 10_000_000 < memory_bytes() < 10**14


def test_without_groups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert memory_bytes(system(tmp_path, {})) == 1000 * MB


@pytest.mark.parametrize("own", ["", "service", "service/inner"])
def test_it_is_the_rest_of_the_smallest_limit_of_the_groups(tmp_path: Path, own: str) -> None:
    group = "sys/fs/cgroup/service" if own else "sys/fs/cgroup"
    files = {
        "proc/self/cgroup": f"0::/{own}\n",
        f"{group}/memory.max": f"{500 * MB}\n",
        f"{group}/memory.current": f"{300 * MB}\n",
        # Memory of cached files can be freed, so it counts as available.
        f"{group}/memory.stat": f"anon {150 * MB}\ninactive_file {100 * MB}\nactive_file {50 * MB}\n",
        "sys/fs/cgroup/service/inner/memory.max": "max\n",
    }
    assert memory_bytes(system(tmp_path, files)) == 350 * MB


def test_a_container_of_the_older_kind_has_its_limit_at_the_top(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/docker/1234\n4:cpu:/docker/1234\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{400 * MB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{100 * MB}\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
    }
    assert memory_bytes(system(tmp_path, files)) == 300 * MB
