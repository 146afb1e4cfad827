"""The number of threads follows what the process may use, not what the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.backbone import cores

MANY = frozenset(range(64))
V1 = "3:cpuset:/\n2:cpu,cpuacct:{0}\n1:memory:{0}\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "wanted"),
    [
        (None, {}, 64),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        # A parent group may have a lower quota than the nearest one.
        ("0::/a/b\n", {"a/b/cpu.max": "800000 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        # A container that sees the host's path, and its own group as the root.
        ("0::/docker/1f\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/../../x\n", {"cpu.max": "200000 100000\n"}, 2),
        (V1.format("/"), {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 64),
        (V1.format("/pod"), {"cpu/pod/cpu.cfs_quota_us": "250000\n", "cpu/pod/cpu.cfs_period_us": "100000\n"}, 3),
        (V1.format("/pod"), {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 1),
    ],
)
def test_a_quota_counts_like_fewer_processors(
    groups: str | None, files: dict[str, str], wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: MANY, raising=False)
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    assert cores(tmp_path) == wanted


def test_every_default_follows_the_affinity() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.cpu_count = lambda: 64
import onnxruntime
from glimpse.backbone import MINI, Embedder, cores, open_bundle
from glimpse.export.batch_runner import on_cpu
real, threads = onnxruntime.InferenceSession, []
def opened(graph, options, *others, **more):
    threads.append(options.intra_op_num_threads)
    return real(graph, options, *others, **more)
onnxruntime.InferenceSession = opened
for opening in (Embedder, on_cpu):
    opening(open_bundle(MINI))
assert set(threads) == {cores()} == {1}, threads
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": os.environ["PATH"]})


def test_libraries_take_no_more_threads_than_the_process_may_use() -> None:
    code = """
import numpy, pyarrow
from threadpoolctl import threadpool_info, threadpool_limits
import glimpse.backbone.processors as module
threadpool_limits(2)
module.cores = lambda: 1
module.limit_libraries()
found = threadpool_info()
assert found and all(one["num_threads"] == 1 for one in found), found
assert pyarrow.cpu_count() == 1
module.cores = lambda: 2
module.limit_libraries()
assert all(one["num_threads"] == 1 for one in threadpool_info())  # never raised
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_asks_for_the_machine() -> None:
    root = Path(__file__).parents[2]
    asking = {
        file.relative_to(root).as_posix()
        for top in ("server", "client/glimpse", "index", "export")
        for file in (root / top).rglob("*.py")
        if "cpu_count" in file.read_text()
    }
    assert asking == {"export/glimpse/backbone/processors.py"}
