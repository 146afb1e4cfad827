"""Checks that the manifests are valid and agree with the image, the settings and each other."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml

from glimpse.backbone.images.decode_worker import COPIES, KEPT_BYTES, SMALL_BYTES, SPARE_BYTES
from glimpse.server.scheduling import inbound
from glimpse.server.scheduling.grpc_options import UNREAD_BYTES, receive_limit
from glimpse.server.settings import Settings, load_settings
from support.postgres import postgres

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "server/deploy"
BASE = DEPLOY / "kubernetes/base"
FILES = sorted(DEPLOY.rglob("*.y*ml"))
#: Kinds that the definitions of Kubernetes itself do not have.
FOREIGN = {"Kustomization", "Component", "ServiceMonitor"}
COMPONENTS = ["", "single", "plaintext", "gpu", "monitoring", "single plaintext", "gpu plaintext monitoring"]
#: Variables of the client and of the tests.
NOT_SETTINGS = {"server", "format", "api_key", "eval_data", "fuzz", "chaos_rounds", "chaos_seed", "gpu"}
NOT_SETTINGS |= {"tls", "tls_ca", "client_cert", "client_key", "client_insecure"}
NOT_SETTINGS |= {"cache", "chromium", "require_chromium", "shots"}


def documents(text: str) -> list[Any]:
    return [document for document in yaml.safe_load_all(text) if document is not None]


def loaded(*parts: str) -> Any:
    [document] = documents(DEPLOY.joinpath(*parts).read_text("utf-8"))
    return document


def valid(resource: dict[str, Any]) -> None:
    if resource["kind"] not in FOREIGN:
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_every_file_is_yaml_and_each_resource_is_valid(file: Path) -> None:
    resources = documents(file.read_text("utf-8"))
    assert resources
    for resource in resources:
        if "kubernetes" in file.parts:
            valid(resource)


@pytest.mark.parametrize("root", ["server/deploy", "Dockerfile", "README.md", "docs", "SECURITY.md"])
def test_every_variable_is_a_setting(root: str) -> None:
    files = [ROOT / root] if (ROOT / root).is_file() else [f for f in (ROOT / root).rglob("*") if f.is_file()]
    texts = [file.read_text("utf-8") for file in files if file.suffix not in {".png", ".svg", ".pyc"}]
    named = {name.lower() for text in texts for name in re.findall(r"GLIMPSE_([A-Z]+(?:_[A-Z]+)*)\b", text)}
    assert named <= set(Settings.model_fields) | NOT_SETTINGS


@cache
def kustomized(components: str) -> list[dict[str, Any]]:
    """Returns all resources of the base with these components, as a cluster gets them."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl, which assembles the manifests, is not installed")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(DEPLOY / "kubernetes", Path(folder) / "kubernetes")
        overlay = Path(folder) / "overlay"
        overlay.mkdir()
        parts = [f"../kubernetes/{name}" for name in components.split()]
        (overlay / "kustomization.yaml").write_text(
            yaml.safe_dump({"resources": ["../kubernetes/base"], "components": parts})
        )
        done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return documents(done.stdout)


def of_kind(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource for resource in resources if resource["kind"] == kind]


@pytest.mark.parametrize("components", COMPONENTS)
def test_assembled_manifests_are_valid_and_refer_to_resources_that_exist(components: str) -> None:
    resources = kustomized(components)
    for resource in resources:
        valid(resource)
        assert resource["metadata"]["namespace"] == "glimpse"
    names = {(resource["kind"], resource["metadata"]["name"]) for resource in resources}
    assert len(names) == len(resources)
    [servers] = of_kind(resources, "StatefulSet")
    pod = servers["spec"]["template"]["spec"]
    [container] = pod["containers"]
    own = {claim["metadata"]["name"] for claim in servers["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]} | own
    assert ("Service", servers["spec"]["serviceName"]) in names
    for scaler in of_kind(resources, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["apiVersion"], target["kind"], target["name"]) == ("apps/v1", "StatefulSet", "glimpse")
    for volume in pod["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in names
    for source in container["envFrom"]:
        assert ("ConfigMap", source["configMapRef"]["name"]) in names
    assert ("ServiceAccount", pod["serviceAccountName"]) in names
    variables = [variable["name"] for variable in container["env"]]
    [settings] = of_kind(resources, "ConfigMap")
    assert not set(variables) & set(settings["data"])
    for name, value in settings["data"].items():
        if (field := name.removeprefix("GLIMPSE_").lower()) in Settings.model_fields:
            Settings(**{field: value})


@pytest.mark.parametrize("components", COMPONENTS)
def test_a_pod_has_only_the_rights_that_it_needs(components: str) -> None:
    [servers] = of_kind(kustomized(components), "StatefulSet")
    pod = servers["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == uid()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys() & container["resources"]["requests"].keys()


def limits(files: str) -> dict[str, str]:
    """Returns the limits of the server's processors and memory in some files."""
    if files == "kubernetes":
        [container] = loaded("kubernetes/base/servers.yaml")["spec"]["template"]["spec"]["containers"]
    elif files == "kubernetes gpu":
        [patch] = loaded("kubernetes/gpu/kustomization.yaml")["patches"]
        [container] = yaml.safe_load(patch["patch"])["spec"]["template"]["spec"]["containers"]
    else:
        name = "compose.gpu.yaml" if files == "compose gpu" else "compose.yaml"
        container = loaded(name)["services"]["glimpse"]["deploy"]
    found: dict[str, str] = container["resources"]["limits"]
    return found


@pytest.mark.parametrize("files", ["kubernetes", "compose", "kubernetes gpu", "compose gpu"])
def test_the_memory_limit_covers_calls_messages_decoding_and_collections(files: str) -> None:
    """Computes the memory as docs/operations.md does. On a GPU it leaves as docs/gpu.md says for CUDA."""
    memory = limits(files)["memory"].removesuffix("i")
    defaults, threads = load_settings(), int(limits(files).get("cpu") or limits(files)["cpus"])
    process = (30 << 20) + KEPT_BYTES + SMALL_BYTES + SPARE_BYTES + (COPIES + 1) * defaults.max_message_bytes
    decoding = (threads + 1) * process + defaults.max_decode_bytes
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    [stated] = re.findall(r"defaults that is at most (\d\.\d) GiB", text)
    assert threads != 2 or 0 <= float(stated) * 2**30 - decoding < 0.1 * 2**30
    largest = receive_limit(defaults)
    reads = max(inbound._MIN_READS, defaults.max_held_bytes // largest) + inbound._ANONYMOUS_READS
    arriving = reads * largest + (inbound._MAX_WAITING + inbound._MAX_ANONYMOUS) * UNREAD_BYTES
    collections = 2 * (221 << 20)
    calls = defaults.max_held_bytes + arriving
    left = (int(memory.removesuffix("G")) << 30) - ((190 << 20) + calls + decoding + collections)
    if "gpu" in files:
        [stated] = re.findall(r"leaves (\d\.\d) GiB for CUDA", (ROOT / "docs/gpu.md").read_text("utf-8"))
        left -= int(float(stated) * 2**30)
        assert left < 0.1 * 2**30
    assert left >= 0


def uid() -> int:
    [number] = set(re.findall(r"^USER (\d+):\1$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    return int(number)


@pytest.mark.parametrize("components", COMPONENTS)
def test_a_server_has_time_to_drain_before_it_is_killed(components: str) -> None:
    resources = kustomized(components)
    [servers] = of_kind(resources, "StatefulSet")
    [settings] = of_kind(resources, "ConfigMap")
    pod = servers["spec"]["template"]["spec"]
    [container] = pod["containers"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + float(settings["data"]["GLIMPSE_DRAIN_SECONDS"]) + 10
    ready, alive = container["readinessProbe"], container["livenessProbe"]
    if "plaintext" in components:
        assert ready["grpc"] == {"port": 50051}
        assert alive["grpc"] == {"port": 50051, "service": "alive"}
        assert settings["data"]["GLIMPSE_INSECURE"] == "1"
    else:
        assert ready["exec"]["command"] == health_check()
        assert alive["exec"]["command"] == [*health_check(), "alive"]
        assert "GLIMPSE_INSECURE" not in settings["data"]
        assert {"GLIMPSE_TLS_CERT", "GLIMPSE_TLS_KEY"} <= {variable["name"] for variable in container["env"]}
    # The server does not listen before it has read its ledger, so no other probe may run until then.
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 1800
    probe = "grpc" if "plaintext" in components else "exec"
    assert container["startupProbe"][probe] == ready[probe]


@pytest.mark.parametrize("components", COMPONENTS)
def test_a_replaced_pod_finds_its_own_volume_again(components: str) -> None:
    [servers] = of_kind(kustomized(components), "StatefulSet")
    [claim] = servers["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    [container] = servers["spec"]["template"]["spec"]["containers"]
    [data] = re.findall(r"GLIMPSE_DATA=(\S+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert {"name": claim["metadata"]["name"], "mountPath": data} in container["volumeMounts"]
    # The volume may hold a ledger: only an operator deletes it.
    assert "persistentVolumeClaimRetentionPolicy" not in servers["spec"]
    assert servers["spec"]["updateStrategy"] == {"type": "RollingUpdate"}
    # Servers start in parallel, as each may have a large ledger to read.
    assert servers["spec"]["podManagementPolicy"] == "Parallel"


def health_check() -> list[str]:
    [command] = re.findall(r"HEALTHCHECK .*CMD (\[.*\])$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return [str(word) for word in yaml.safe_load(command)]


@pytest.mark.parametrize("components", COMPONENTS)
def test_selectors_match_the_servers_and_nothing_else(components: str) -> None:
    resources = kustomized(components)
    labels = {"app.kubernetes.io/name": "glimpse"}
    [servers] = of_kind(resources, "StatefulSet")
    assert servers["spec"]["template"]["metadata"]["labels"] == labels
    assert servers["spec"]["selector"]["matchLabels"] == labels
    for constraint in servers["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels
    [service] = of_kind(resources, "Service")
    assert service["spec"]["selector"] == labels
    assert service["spec"]["clusterIP"] == "None"
    [container] = servers["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    [policy] = of_kind(resources, "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == ports
    for budget in of_kind(resources, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"] == labels


def test_the_component_for_sqlite_has_exactly_one_server() -> None:
    resources = kustomized("single")
    [servers] = of_kind(resources, "StatefulSet")
    assert servers["spec"]["replicas"] == 1
    assert not of_kind(resources, "HorizontalPodAutoscaler")
    [container] = servers["spec"]["template"]["spec"]["containers"]
    assert "GLIMPSE_LEDGER" not in [variable["name"] for variable in container["env"]]
    [claim] = servers["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "20Gi"}


def test_the_threads_follow_the_cores() -> None:
    [servers] = of_kind(kustomized("gpu"), "StatefulSet")
    [container] = servers["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable for variable in container["env"]}
    for name in ("GLIMPSE_ENCODE_THREADS", "GLIMPSE_DECODE_THREADS"):
        assert variables[name]["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"] == "glimpse:gpu"
    assert variables["GLIMPSE_PROVIDERS"]["value"] == "cuda"


SERVICES = loaded("compose.yaml")["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_of_the_compose_file_is_hardened_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert ("healthcheck" in service) is (name != "glimpse")  # the image has the server's
    assert "build" in service or re.fullmatch(r"[\w/]+:v?\d[\d.]+", service["image"])
    for variable, value in service.get("environment", {}).items():
        assert "PASSWORD" not in variable or value.startswith("/run/secrets/")


def test_the_servers_of_the_compose_file_drain_and_use_their_cores() -> None:
    glimpse = SERVICES["glimpse"]
    settings = glimpse["environment"]
    assert int(glimpse["stop_grace_period"][:-1]) >= float(settings["GLIMPSE_DRAIN_SECONDS"]) + 10
    for name in ("GLIMPSE_ENCODE_THREADS", "GLIMPSE_DECODE_THREADS"):
        assert settings[name] == glimpse["deploy"]["resources"]["limits"]["cpus"]
    [ports] = glimpse["ports"]
    first, last = map(int, re.findall(r":(\d+)-(\d+):50051", ports)[0])
    assert last - first + 1 >= glimpse["deploy"]["replicas"]


def test_the_compose_file_names_things_that_exist() -> None:
    compose = loaded("compose.yaml")
    for service in compose["services"].values():
        assert set(service["networks"]) <= compose["networks"].keys()
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_dir(), source
    port = SERVICES["glimpse"]["environment"]["GLIMPSE_METRICS_LISTEN"].rsplit(":", 1)[-1]
    [scraped] = loaded("prometheus", "prometheus.yml")["scrape_configs"]
    assert scraped["dns_sd_configs"][0]["port"] == int(port)
    for file in loaded("prometheus", "prometheus.yml")["rule_files"]:
        assert (DEPLOY / "prometheus" / file).is_file()
    assert loaded("compose.gpu.yaml")["services"].keys() <= compose["services"].keys()


def test_the_server_of_the_compose_file_has_its_gpu_alone_and_does_not_start_without() -> None:
    service = loaded("compose.gpu.yaml")["services"]["glimpse"]
    [device] = service["deploy"]["resources"]["reservations"]["devices"]
    assert service["deploy"]["replicas"] == device["count"] == 1
    assert service["environment"]["GLIMPSE_PROVIDERS"] == "cuda"
    for name in ("GLIMPSE_ENCODE_THREADS", "GLIMPSE_DECODE_THREADS"):
        assert service["environment"][name] == service["deploy"]["resources"]["limits"]["cpus"]


def test_the_servers_of_the_compose_file_read_the_password_of_the_ledger_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("with space, / and @\n")
    words = [word.replace("$$", "$") for word in SERVICES["glimpse"]["entrypoint"]]
    command = [word.replace("/run/secrets/postgres_password", str(secret)) for word in words]
    with postgres() as started:
        database = started.database()
        with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE ROLE locked LOGIN PASSWORD 'with space, / and @'")
            connection.execute(f'ALTER DATABASE "{database.rpartition("/")[2]}" OWNER TO locked')
            rules = started.folder / "db/pg_hba.conf"
            rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
            connection.execute("SELECT pg_reload_conf()")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GLIMPSE_", "PG"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GLIMPSE_LEDGER": database.replace("glimpse@", "locked@"),
            "GLIMPSE_DATA": str(tmp_path / "data"),
            "GLIMPSE_LISTEN": "127.0.0.1:0",
        }
        server = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        try:
            assert server.stdout
            line = server.stdout.readline()
        finally:
            server.terminate()
            _, log = server.communicate(timeout=30)
        assert line.startswith("listening on "), log
        assert server.returncode == 0, "the shell still runs, and receives the signals"
        secret.write_text("another")
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1
        assert "password" in refused.stderr
