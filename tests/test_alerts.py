"""Evaluates the rules of the alerts on series, with Prometheus itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pool

from glimpse.server.api.registry import SERVICES

RULES = Path(__file__).parents[1] / "server/deploy/prometheus/alerts.yml"
#: One value each minute, for three hours.
UP, GROWING, STILL = "1x180", "0+60x180", "7x180"
A, B = 'up{job="glimpse", instance="a"}', 'up{job="glimpse", instance="b"}'
CALLS = 'glimpse_requests_total{instance="a", rpc="S/M", code="RESOURCE_EXHAUSTED", reason="%s"}'
INPUTS = 'glimpse_inputs_rejected_total{instance="a", reason="%s"}'


@pytest.mark.parametrize(
    ("series", "minute", "firing"),
    [
        ({A: UP, B: UP}, 60, []),
        ({A: UP, B: "1x30 0x150"}, 40, ["GlimpseDown"]),
        # Where servers are found by DNS, a stopped server is no longer a target.
        ({A: UP, B: "1x30 stale"}, 30, []),
        ({A: UP, B: "1x30 stale"}, 40, ["GlimpseFewer"]),
        ({A: UP, B: "1x30 stale"}, 100, []),
        ({A: UP, B: "1x30 stale _x9 1x140"}, 60, []),
        ({A: "1x30 stale"}, 40, ["GlimpseNone"]),
        ({A: UP, CALLS % "QUEUE_FULL": GROWING}, 60, ["GlimpseQueueFull"]),
        ({A: UP, INPUTS % "QUEUE_FULL": GROWING}, 60, ["GlimpseQueueFull"]),
        ({A: UP, CALLS % "QUEUE_FULL": GROWING, INPUTS % "QUEUE_FULL": GROWING}, 60, ["GlimpseQueueFull"]),
        ({A: UP, CALLS % "QUEUE_FULL": STILL, INPUTS % "QUEUE_FULL": STILL}, 60, []),
        ({A: UP, CALLS % "RATE_LIMITED": GROWING, INPUTS % "IMAGE_DAMAGED": GROWING}, 60, []),
    ],
)
def test_the_expected_alerts_fire(series: dict[str, str], minute: int, firing: list[str], tmp_path: Path) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool, which evaluates the rules, is not installed (Debian: apt-get install prometheus)")
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    expression = 'count by (alertname) (ALERTS{alertstate="firing"})'
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{minute}m", "exp_samples": expected}],
    }
    file = tmp_path / "case.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_name_methods_that_exist() -> None:
    groups = re.findall(r'rpc=~"\.\*/\(([\w|]+)\)"', RULES.read_text("utf-8"))
    assert groups
    services = [descriptor_pool.Default().FindServiceByName(name) for name in SERVICES]
    methods = {method.name for service in services for method in service.methods}
    assert {name for group in groups for name in group.split("|")} <= methods
