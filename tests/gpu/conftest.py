"""Skips tests that need a GPU if there is none."""

import os

import onnxruntime as ort
import pytest

from glimpse.backbone import BundleError, Encoder, bundled, load_bundle


@pytest.fixture(scope="session", autouse=True)
def cuda() -> None:
    """Skips all tests unless ONNX Runtime starts a session on a GPU."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip(
            "this ONNX Runtime has no CUDAExecutionProvider; pip install 'glimpse-fewshot[gpu]' on a machine with a GPU"
        )
    try:
        Encoder(load_bundle(bundled()), threads=1, providers=["cuda"])
    except BundleError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def threads() -> int:
    return os.cpu_count() or 1
