"""The device of a process: none without a GPU, and then the code of copies is not even imported."""

import subprocess
import sys

import faiss
import pytest

from glimpse.index import first_gpu
from glimpse.index.search import cuda, gpu

_IMPORTED = """
import sys
import glimpse.index as index
collection = index.LayeredIndex(4)
print(index.first_gpu(1), [name for name in sys.modules if name.endswith(("growing_copy", "copied_index"))])
"""


def test_without_a_gpu_nothing_is_copied_or_imported() -> None:
    if cuda.gpu_count():
        pytest.skip("FAISS sees a GPU here: tests/gpu has that")
    assert first_gpu(1) is None
    run = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    assert run.stdout == "None []\n"


def test_the_first_gpu_is_the_device_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "gpu_count", lambda: 1)
    monkeypatch.setattr(cuda, "free_bytes", lambda: 1_000)
    device = first_gpu(5)
    assert device
    assert (device.lock, device.create, device.min_bytes) == (gpu.GPU_LOCK, gpu.create_flat, 5)
    assert device.fits(100, 4)  # 800 bytes of 1,000
    assert not device.fits(101, 4)


def test_vectors_on_a_gpu_have_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    created = list[tuple[object, int, bool]]()

    class Config:
        useFloat16 = False  # noqa: N815

    class Created:
        def __init__(self, resources: object, dimension: int, config: Config) -> None:
            created.append((resources, dimension, config.useFloat16))

    monkeypatch.setattr(faiss, "GpuIndexFlatConfig", Config, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatIP", Created, raising=False)
    monkeypatch.setattr(gpu, "gpu_resources", lambda: "resources")
    assert isinstance(gpu.create_flat(8), Created)
    assert created == [("resources", 8, True)]
