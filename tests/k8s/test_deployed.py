"""What is deployed fits the programs: their options, ports and services, and the order in which they come up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from shopfuse.cli.release_store import add_commands
from shopfuse.triton import __main__ as triton_container
from shopfuse.triton.command import WHOLE_AT_START
from shopfuse_gateway.main import parse
from shopfuse_gateway.server import SERVICES
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.metrics import Metrics
from tests.k8s.policies import GIVEN, references, resolved, secret
from tests.k8s.rendered import (
    K8S,
    OVERLAYS,
    ROOT,
    Container,
    container,
    containers,
    kustomize,
    of_kind,
    rendered,
    templates,
)

PRODUCTION = "overlays/production"


def rendered_with(folder: Path, kustomization: dict[str, Any]) -> tuple[int, str, list[dict[str, Any]]]:
    """An overlay of a test's own, with the folders of k8s/ by their names."""
    relative = {
        key: [os.path.relpath(K8S / name, folder) for name in kustomization.get(key, [])]
        for key in ("resources", "components")
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization | relative))
    done = kustomize(folder)
    return done.returncode, done.stderr, list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What production's arguments make of a gateway, with a key and a workspace that are there."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    arguments = container(PRODUCTION, "deployment/gateway").spec["args"]
    given = {"--workspace": tmp_path, "--page-token-key": tmp_path / "key"}
    replaced = [f"{name}={given[name]}" if (name := text.partition("=")[0]) in given else text for text in arguments]
    return parse(replaced)[0]


@pytest.fixture
def gateway() -> Any:
    return container(PRODUCTION, "deployment/gateway").spec


@pytest.fixture
def triton() -> Any:
    return container(PRODUCTION, "deployment/triton").spec


def ports(spec: Any) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in spec["ports"]}


def test_the_gateway_takes_its_arguments_and_listens_where_it_is_looked_for(settings: Settings, gateway: Any) -> None:
    assert ports(gateway) == {"grpc": settings.grpc_port, "metrics": settings.metrics_port}
    assert settings.host == "0.0.0.0" and settings.workers == 1
    assert {gateway[probe]["grpc"]["port"] for probe in gateway if probe.endswith("Probe")} == {settings.grpc_port}
    assert gateway["readinessProbe"]["grpc"]["service"] in {service.full_name for service in SERVICES}
    assert "service" not in gateway["livenessProbe"]["grpc"]


def test_the_gateway_asks_all_ready_tritons(settings: Settings, triton: Any) -> None:
    scheme, _, address = settings.triton.partition("///")
    name, _, port = address.partition(":")
    service = of_kind(PRODUCTION, "Service")[name]["spec"]

    assert (scheme, int(port)) == ("dns:", ports(triton)["grpc"])
    assert service["clusterIP"] == "None" and not service.get("publishNotReadyAddresses")
    labels = of_kind(PRODUCTION, "Deployment")["triton"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def sync_options(spec: Any) -> dict[str, Any]:
    """What the command makes of a container's arguments."""
    assert spec["command"] == ["python", "-m", "shopfuse.cli.release_store", "sync"]
    app = typer.Typer()
    add_commands(app)
    command: Any = typer.main.get_command(app)
    context: dict[str, Any] = command.commands["sync"].make_context("sync", [*spec["args"]]).params
    return context


@pytest.mark.parametrize("folder", OVERLAYS)
def test_triton_is_ready_with_its_release_only(folder: str) -> None:
    spec = container(folder, "deployment/triton").pod
    first, beside = spec["initContainers"]
    options = sync_options(beside)

    assert beside["restartPolicy"] == "Always"  # a sidecar: its readiness is the pod's
    assert (beside["readinessProbe"]["httpGet"]["path"], options["probes"]) == (
        "/ready",
        f"0.0.0.0:{ports(beside)['sync']}",
    )
    assert options["triton"] == f"127.0.0.1:{ports(spec['containers'][0])['grpc']}"
    assert sync_options(first)["once"] and "restartPolicy" not in first
    for name in ("store", "public_key", "workspace"):
        assert sync_options(first)[name] == options[name]


def test_a_gateway_names_a_release_when_all_tritons_that_it_asks_have_it(settings: Settings) -> None:
    first, beside = container(PRODUCTION, "deployment/gateway").pod["initContainers"]
    options = sync_options(beside)

    assert settings.triton == f"dns:///{options['wait_for']}" and not options["triton"]
    assert options["store"] == sync_options(first)["store"] == "$(STORE)"
    assert options["public_key"] == settings.public_key_file
    assert not sync_options(first)["wait_for"]  # a gateway starts, and answers degraded, where no Triton does


def test_a_gateway_is_started_before_its_probe_gives_up(settings: Settings, gateway: Any) -> None:
    probe = gateway["startupProbe"]

    assert 0 < settings.triton_within_s < probe["periodSeconds"] * probe["failureThreshold"] / 2


@pytest.mark.parametrize("folder", ["overlays/cpu-dev", PRODUCTION, "jobs/publish"])
def test_triton_of_the_pip_package_takes_its_arguments(folder: str) -> None:
    [spec] = [each.spec for each in containers(folder) if each.spec["image"].startswith("shopfuse-triton")]
    options = triton_container._parse(spec["args"])

    mounts = {mount["mountPath"]: mount for mount in spec["volumeMounts"]}
    at = max((path for path in mounts if options.repository.is_relative_to(path)), key=len)
    assert mounts[at]["readOnly"] and "/dev/shm" in mounts
    if "ports" in spec:
        assert ports(spec) == {"http": options.http_port, "grpc": options.grpc_port, "metrics": options.metrics_port}


def test_nvidias_triton_is_told_what_ours_is() -> None:
    flags = {flag.partition("=")[0]: flag for flag in container("overlays/gpu", "deployment/triton").spec["args"]}
    served = containers(PRODUCTION)[-1].spec["args"]

    assert set(WHOLE_AT_START) <= set(flags.values())
    assert {"--model-control-mode=explicit", "--disable-auto-complete-config"} <= set(flags.values())
    for name in ("--http-port", "--grpc-port", "--metrics-port", "--grpc-max-connection-age"):
        assert flags[name] in served


def test_nvidias_triton_is_of_the_month_that_builds_its_plans() -> None:
    image = container("overlays/gpu", "deployment/triton").spec["image"]
    builds = container("jobs/tensorrt-plans", "job/tensorrt-plans").spec["image"]

    assert image.partition(":")[2].removesuffix("-py3") == builds.partition(":")[2]


@pytest.mark.parametrize("folder", [PRODUCTION, "overlays/gpu"])
def test_releases_come_before_what_reads_them(folder: str) -> None:
    names = {
        name: [each["name"] for each in template["spec"].get("initContainers", [])]
        for name, template in templates(folder)
        if name != "deployment/edge"  # it reads none
    }

    assert names == {
        "deployment/gateway": ["release-first", "release-sync"],
        "deployment/triton": ["release-first", "release-sync"],
    }


def test_an_overlay_without_a_store_is_told(tmp_path: Path) -> None:
    overlay = {"resources": ["base"], "components": ["components/release-store"]}
    code, _, resources = rendered_with(tmp_path, overlay)

    assert code == 0
    assert any("ConfigMap release-store" in problem for problem in resolved(resources, containers(PRODUCTION)))


def test_no_pod_starts_without_what_is_given_by_hand() -> None:
    named = {given for each in containers(PRODUCTION) for given in _needs(each)}

    assert named & GIVEN == GIVEN
    assert not list(secret(list(rendered(PRODUCTION)), containers(PRODUCTION)))


def _needs(each: Container) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name, _ in references(each)}


def test_the_page_says_how_to_make_what_is_given() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")

    for kind, name in GIVEN:
        assert f"create {kind.lower()} " in page and name in page


def test_gateways_are_added_before_they_refuse(settings: Settings) -> None:
    metrics = of_kind(PRODUCTION, "HorizontalPodAutoscaler")["gateway"]["spec"]["metrics"]
    [pods] = [metric["pods"] for metric in metrics if metric["type"] == "Pods"]

    assert pods["metric"]["name"] in {family.name for family in Metrics().registry.collect()}
    assert 0.5 < int(pods["target"]["averageValue"]) / settings.max_in_flight < 0.7


def test_the_adapter_serves_every_metric_that_scales() -> None:
    rules = yaml.safe_load((K8S / "components/autoscaling/adapter-rules.yaml").read_text(encoding="utf-8"))["rules"]
    scalers = of_kind(PRODUCTION, "HorizontalPodAutoscaler").values()
    wanted = {m["pods"]["metric"]["name"] for each in scalers for m in each["spec"]["metrics"] if m["type"] == "Pods"}

    assert {rule["name"]["as"] for rule in rules} == wanted


def test_keda_scales_what_the_autoscalers_do_within_their_bounds(tmp_path: Path) -> None:
    code, error, resources = rendered_with(tmp_path, {"resources": ["base"], "components": ["components/keda"]})
    scaled = {each["metadata"]["name"]: each["spec"] for each in resources if each["kind"] == "ScaledObject"}

    assert code == 0, error
    for name, scaler in of_kind(PRODUCTION, "HorizontalPodAutoscaler").items():
        bounds = scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
        assert (scaled[name]["minReplicaCount"], scaled[name]["maxReplicaCount"]) == bounds
        assert bounds[0] <= scaled[name]["fallback"]["replicas"] <= bounds[1]


def test_the_flow_from_gateway_to_triton_is_open_on_both_sides_and_no_other() -> None:
    policies = {name: each["spec"] for name, each in of_kind(PRODUCTION, "NetworkPolicy").items()}
    labels = {name: template["metadata"]["labels"] for name, template in templates(PRODUCTION)}

    for name, at in (("gateway", "deployment/gateway"), ("triton", "deployment/triton")):
        assert policies[name]["podSelector"]["matchLabels"].items() <= labels[at].items()
    [out] = policies["gateway"]["egress"]
    assert out["to"][0]["podSelector"]["matchLabels"].items() <= labels["deployment/triton"].items()
    assert [port["port"] for port in out["ports"]] == [8001]
    asked = policies["triton"]["ingress"][0]
    assert asked["from"][0]["podSelector"]["matchLabels"].items() <= labels["deployment/gateway"].items()
    assert {port["port"] for rule in policies["triton"]["ingress"] for port in rule["ports"]} == {8001, 8002, 8003}


def test_monitors_find_the_services_and_their_ports() -> None:
    services = list(of_kind(PRODUCTION, "Service").values())
    for name, monitor in of_kind(PRODUCTION, "ServiceMonitor").items():
        selector = monitor["spec"]["selector"]["matchLabels"]
        [found] = [each for each in services if selector.items() <= each["metadata"]["labels"].items()]

        assert found["metadata"]["name"] == name
        assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in found["spec"]["ports"]}
        assert found["metadata"]["labels"][monitor["spec"]["jobLabel"]] in ("shopfuse-gateway", "triton")
