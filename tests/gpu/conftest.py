"""Skips tests that need a GPU if there is none, and fails them on a machine that has one."""

import os

import onnxruntime as ort
import pytest

from glimpse.backbone import BundleError, Encoder, bundled, load_bundle
from support.gpu import gpu_missing


@pytest.fixture(scope="session", autouse=True)
def cuda() -> None:
    """Skips all tests unless ONNX Runtime starts a session on a GPU; see `gpu_missing`."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        gpu_missing("this ONNX Runtime is the build for processors; pip install 'glimpse-fewshot[gpu]'")
    try:
        Encoder(load_bundle(bundled()), threads=1, providers=["cuda"])
    except BundleError as error:
        gpu_missing(str(error))


@pytest.fixture(scope="session")
def threads() -> int:
    return os.cpu_count() or 1
