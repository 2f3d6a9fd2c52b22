"""The files of docs/deploy name commands, paths, variables and figures that are there."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from starlette.testclient import TestClient
from study_example import tables

from labelweave.cli import app
from labelweave.serving._monitor import Monitoring, Signal, TaskOutlook
from labelweave.serving._monitor_files import write_metrics
from labelweave.serving._service import make_app
from labelweave.serving._service_limits import KEYS

DEPLOY = Path(__file__).parents[3] / "docs" / "deploy"
COMMANDS: Any = typer.main.get_command(app)


def test_the_manifest_probes_paths_that_are_served_and_runs_without_root(network: Path) -> None:
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    with TestClient(make_app(network, keys=("key",))) as client:
        for probe in ("readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert client.get(path).status_code == 200, "answered without a key"
    assert container["env"][0]["name"] == KEYS
    assert spec["securityContext"]["runAsNonRoot"] is True
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


@pytest.mark.parametrize("name", ["labelweave.service", "Containerfile"])
def test_commands_have_the_options_that_are_used(name: str) -> None:
    text = (DEPLOY / name).read_text().replace('", "', " ")
    (line,) = re.findall(r"^(?:ExecStart|ENTRYPOINT).*$", text, re.M)
    options = {each for parameter in COMMANDS.commands["serve"].params for each in parameter.opts}
    assert " serve " in line or "labelweave serve" in line
    assert set(re.findall(r"--[a-z-]+", line)) <= options
    assert KEYS in text


def test_the_rules_use_figures_that_are_shown(network: Path, tmp_path: Path) -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())
    used = set()
    for rule in rules["groups"][0]["rules"]:
        used |= set(re.findall(r"labelweave_\w+", rule["expr"]))
    with TestClient(make_app(network, keys=())) as client:
        client.post("/predict", json={"rows": tables(2)[0].drop(columns="kind").to_dict("records")})
        shown = client.get("/metrics").text
    signal = Signal("values", "x", "KS", 0.3, 0.0, 0.1, 0.002)
    outlook = TaskOutlook("t", 0.9, 0.8, {}, {})
    write_metrics(Monitoring(30, (signal,), (outlook,), (), 0.01), "m", tmp_path / "m.prom")
    shown += (tmp_path / "m.prom").read_text()
    assert len(used) >= 5
    assert used <= set(re.findall(r"^(labelweave_\w+)", shown, re.M))
