"""Settings of the edge: what cannot work is refused by name, and what passes is a configuration that Envoy takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from shopfuse.edge.api import methods
from shopfuse.edge.bootstrap import rendered, write_config
from shopfuse.edge.local_envoy import EnvoyError, check_config
from shopfuse.edge.settings import EdgeSettingsError, defaults, read_edge_settings
from tests.architecture.house import ROOT

GATEWAYS = '[gateways]\naddresses = ["gateway:7070"]\n'
EVERYTHING = """
[tls]
certificate = "tls.crt"
key = "tls.key"
client_ca = "ca.crt"
[jwt]
issuer = "https://id.example"
audiences = ["shopfuse"]
jwks = "https://id.example/keys"
[limits]
by = "claim"
each = {per_s = 0.5, per_day = 1000}
tenants.acme = {per_s = 100, burst = 200}
[web]
origins = ["https://shop.example"]
[triton]
port = 8001
servers = {addresses = ["triton:8001"]}
[traces]
collector = "collector:4317"
percent = 5
[gateways]
addresses = ["gateway:7070"]
hedge_after_s = 0.2
"""
WRONG = {
    "listener.port": "[listener]\nport = 70000\n",
    "listener.max_streams": "[listener]\nmax_streams = 1.5\n",
    "listener.max_request_s": '[listener]\nmax_request_s = "long"\n',
    "listener.prot": "[listener]\nprot = 1\n",
    "lisener": "[lisener]\n",
    "tls": "tls = 1\n",
    "tls.key": '[tls]\ncertificate = "a.crt"\n',
    "jwt.audiences": '[jwt]\nissuer = "i"\njwks = "k"\n',
    "jwt.jwks": '[jwt]\nissuer = "i"\naudiences = ["a"]\njwks = "http://id.example/keys"\n',
    "limits.by": '[limits]\nby = "claim"\n',
    "limits.tenants.acme.per_s": "[limits]\ntenants.acme = {per_s = -1}\n",
    "web.origins": '[web]\norigins = ["*"]\n',
    "gateways.addresses": '[gateways]\naddresses = ["gateway"]\n',
    "triton.servers.addresses": "[triton]\nport = 8001\n",
    "traces.collector": '[traces]\ncollector = "http://collector:4317"\n',
    "process.max_heap_mb": "[process]\nmax_heap_mb = true\n",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(text if "[gateways]" in text else text + GATEWAYS)
    return path


@pytest.mark.parametrize("name", WRONG)
def test_wrong_setting_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(EdgeSettingsError, match=rf"edge\.toml: {re.escape(name)}: expected "):
        read_edge_settings(written(tmp_path, WRONG[name]))


@pytest.mark.parametrize("text", ["", EVERYTHING], ids=["defaults", "everything"])
def test_envoy_takes_what_is_made_of_settings(tmp_path: Path, text: str) -> None:
    check_config(write_config(read_edge_settings(written(tmp_path, text)), tmp_path / "envoy"))


def test_envoy_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    bootstrap = write_config(read_edge_settings(written(tmp_path, "")), tmp_path / "envoy")
    bootstrap.write_text(bootstrap.read_text().replace('"stat_prefix"', '"stat_prefx"'))

    with pytest.raises(EnvoyError, match="stat_prefx"):
        check_config(bootstrap)


def test_example_is_a_configuration(tmp_path: Path) -> None:
    check_config(write_config(read_edge_settings(ROOT / "examples" / "edge.toml"), tmp_path))


def test_every_setting_stands_in_the_documentation_with_its_default() -> None:
    page = (ROOT / "docs" / "edge.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", page, flags=re.MULTILINE))

    assert rows == {name: json.dumps(value) for name, value in defaults().items()}


def test_only_calls_that_change_nothing_are_tried_again(tmp_path: Path) -> None:
    settings = read_edge_settings(written(tmp_path, ""))
    listener = json.loads(rendered(settings, "/etc/envoy")["envoy.json"])["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    retried = {route["match"]["path"] for route in routes if "retry_policy" in route["route"]}

    assert retried == {method.path for method in methods() if method.is_safe}
    assert {route["match"]["path"] for route in routes} == {method.path for method in methods()}


def test_configuration_in_the_cluster_is_what_its_settings_make() -> None:
    folder = ROOT / "k8s" / "components" / "edge"
    fresh = rendered(read_edge_settings(folder / "edge.toml"), "/etc/envoy")

    assert {file.name: file.read_text() for file in (folder / "envoy").iterdir()} == fresh, "run make edge-config"


def test_component_in_the_cluster_mounts_what_the_configuration_names(tmp_path: Path) -> None:
    """Rendered by kustomize as an overlay includes it; ports and paths are those of Envoy's configuration."""
    component = ROOT / "k8s" / "components" / "edge"
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    reference = os.path.relpath(component, overlay.resolve())
    (overlay / "kustomization.yaml").write_text(f"components: [{reference}]\n")
    command = [
        f"{sysconfig.get_path('scripts')}/kubectl",
        "kustomize",
        "--load-restrictor",
        "LoadRestrictionsNone",
        str(overlay),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    pod = objects[("Deployment", "edge")]["spec"]["template"]["spec"]
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    settings = read_edge_settings(component / "edge.toml")

    assert ports == {
        "https": settings.listener.port,
        "triton": settings.triton.port,
        "metrics": settings.process.metrics_port,
    }
    assert str(settings.process.admin_port) in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert Path(settings.tls.certificate).parent.as_posix() in {
        mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]
    }
    assert [name for kind, name in objects if kind == "ConfigMap" and name.startswith("edge-")]
