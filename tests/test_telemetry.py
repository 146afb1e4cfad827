"""ONNX Runtime sends usage data unless a variable forbids it; each package that imports it sets the variable first."""

import os
import subprocess
import sys

import pytest

SHOW = "import os, {package}; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"


@pytest.mark.parametrize("package", ["glimpse.backbone", "glimpse.export", "glimpse.server"])
@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_onnx_runtime_sends_no_usage_data_by_default(package: str, before: str | None, after: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"ORT_DISABLE_TELEMETRY": before} if before else {}
    command = [sys.executable, "-c", SHOW.format(package=package)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{after}\n", done.stderr
