"""Every package that imports ONNX Runtime first turns off its telemetry, which is on by default."""

import os
import subprocess
import sys

import pytest

_PRINT = "import os, {package}; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"


@pytest.mark.parametrize("package", ["glimpse.backbone", "glimpse.export", "glimpse.server"])
@pytest.mark.parametrize(("value", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_the_environment_turns_it_on(package: str, value: str | None, expected: str) -> None:
    environment = {name: kept for name, kept in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"ORT_DISABLE_TELEMETRY": value} if value else {}
    command = [sys.executable, "-c", _PRINT.format(package=package)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{expected}\n", done.stderr
