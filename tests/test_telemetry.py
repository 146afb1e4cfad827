"""ONNX Runtime reports its use to its makers unless it is told not to; every package that imports it does so first."""

import os
import subprocess
import sys

import pytest

SHOW = "import os, {package}; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"


@pytest.mark.parametrize("package", ["glimpse.backbone", "glimpse.export", "glimpse.server"])
@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("0", "0")])
def test_onnx_runtime_reports_nothing_unless_it_is_asked_to(package: str, given: str | None, kept: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"ORT_DISABLE_TELEMETRY": given} if given else {}
    command = [sys.executable, "-c", SHOW.format(package=package)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{kept}\n", done.stderr
