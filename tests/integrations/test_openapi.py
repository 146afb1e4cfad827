"""Schemathesis fuzzes every call of the OpenAPI description, and compares the answers with it."""

import subprocess
import sys
from pathlib import Path

DESCRIPTION = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_generated_request_is_answered_otherwise_than_described(url: str, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("st")), "run", str(DESCRIPTION), "--url", url, "--checks", CHECKS]
    config = tmp_path / "schemathesis.toml"
    # 503 is the answer to a `minRevision` of the future.
    config.write_text('[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 503]\n')
    command[1:1] = ["--config-file", str(config)]
    command += ["--max-examples", "10", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=420, check=False)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
