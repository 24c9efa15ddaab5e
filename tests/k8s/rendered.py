"""What kustomize makes of the folders of k8s/, and where the containers are in it."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = ("overlays/cpu-dev", "overlays/production", "overlays/gpu")
JOBS = ("jobs/demo-shop", "jobs/publish", "jobs/tensorrt-plans")
KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
VERSIONS = ("1.35", "1.36", "1.37")  # of Kubernetes

Resource = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """One container of a pod, with the spec of that pod."""

    owner: str  # deployment/gateway
    pod: Resource
    spec: Resource

    @property
    def name(self) -> str:
        return f"{self.owner}/{self.spec['name']}"


def kustomize(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)


@cache
def rendered(folder: str) -> tuple[Resource, ...]:
    done = kustomize(K8S / folder)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(folder: str, kind: str) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in rendered(folder) if each["kind"] == kind}


def templates(folder: str) -> Iterator[tuple[str, Resource]]:
    """(owner, pod template) of all that makes pods."""
    for each in rendered(folder):
        if each["kind"] in ("Deployment", "Job"):
            yield f"{each['kind'].lower()}/{each['metadata']['name']}", each["spec"]["template"]


def containers(folder: str) -> list[Container]:
    return [
        Container(owner, template["spec"], spec)
        for owner, template in templates(folder)
        for key in ("initContainers", "containers")
        for spec in template["spec"].get(key, [])
    ]


def container(folder: str, owner: str) -> Container:
    """The container that the others of its pod are there for."""
    return next(each for each in containers(folder) if each.owner == owner and each.spec is each.pod["containers"][0])
