"""The metrics on the page, in the dashboard and in the alerts are those of a server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from support.metrics import families
from support.server import ServerProcess

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "observing.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "server/deploy/grafana/dashboards/glimpse.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "server/deploy/prometheus/alerts.yml").read_text("utf-8"))
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}


@pytest.fixture(scope="module")
def kinds(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Returns the metrics of a server and their types."""
    with ServerProcess(tmp_path_factory.mktemp("metrics"), bundles[0], metrics_listen="127.0.0.1:0") as server:
        yield {family.name: family.type for family in families(server)}


def expressions() -> list[str]:
    """Yields every query of the dashboard and the alerts."""
    rules = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return [*rules, *panels, *variables]


def test_the_page_lists_every_metric_and_no_other(kinds: dict[str, str]) -> None:
    documented = set(re.findall(r"^\| `(glimpse_\w+)` \|", PAGE, re.MULTILINE))
    own = {name: kind for name, kind in kinds.items() if name.startswith("glimpse_")}
    assert documented == {f"{name}_total" if kind == "counter" else name for name, kind in own.items()}


@pytest.mark.parametrize("expression", expressions())
def test_dashboard_and_alerts_use_existing_metrics(expression: str, kinds: dict[str, str]) -> None:
    there = {f"{name}{suffix}" for name, kind in kinds.items() for suffix in _SUFFIXES.get(kind, [""])}
    asked = set(re.findall(r"\b(?:glimpse|process)_\w+", expression))
    assert asked <= there
    assert asked or "up{" in expression


@pytest.mark.parametrize("expression", expressions())
def test_dashboard_and_alerts_ask_in_promql(expression: str) -> None:
    query = expression.replace("$__rate_interval", "5m")
    # Grafana's own functions are not PromQL, so use their arguments.
    promql_parser.parse(re.sub(r"^label_values\((.*), \w+\)$", r"\1", query))


def test_every_alert_has_a_severity_and_advice() -> None:
    rules: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 9
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "action"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
