"""Policies of ours, each a function from the resources of a folder to what breaks it. Tests break every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.k8s.rendered import Container, Resource

# Who operates a cluster makes these by hand; docs/deploy.md says how.
GIVEN = {
    ("Secret", "page-token-key"),
    ("Secret", "release-store"),
    ("Secret", "edge-tls"),
    ("ConfigMap", "release-public-key"),
}
CLAIM = "shopfuse-workspace"  # made by cpu-dev, and by whoever builds
VOLUMES = {"configMap", "emptyDir", "projected", "secret", "downwardAPI", "persistentVolumeClaim", "ephemeral", "csi"}
SECRET_WORDS = re.compile(r"secret|password|token|credential|access_key", re.IGNORECASE)

Policy = Callable[[list[Resource], list[Container]], Iterator[str]]


def restricted(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Kubernetes' pod security standard `restricted`, and a root file system that nobody writes to."""
    for each in containers:
        pod, own = each.pod.get("securityContext", {}), each.spec.get("securityContext", {})
        if not pod.get("runAsNonRoot") or pod.get("runAsUser", 0) < 1000:
            yield f"{each.name} may run as root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{each.name} has no seccomp profile"
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{each.name} may gain privileges"
        if own.get("capabilities", {}).get("add") or own.get("privileged"):
            yield f"{each.name} has privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{each.name} may write to its image"
        if any(each.pod.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{each.name} shares what is the host's"
        if each.pod.get("automountServiceAccountToken") is not False:
            yield f"{each.name} holds a token of the cluster"
        if odd := {key for volume in each.pod.get("volumes", []) for key in volume if key != "name"} - VOLUMES:
            yield f"{each.name} mounts {sorted(odd)}"


def probed(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Whatever answers others says when it has started, may be asked, and should be started again."""
    for each in containers:
        if each.spec.get("ports"):
            missing = {"startupProbe", "readinessProbe", "livenessProbe"} - set(each.spec)
            if missing:
                yield f"{each.name} has ports and no {', '.join(sorted(missing))}"
            if each.spec["name"] in ("gateway", "triton") and "preStop" not in each.spec.get("lifecycle", {}):
                yield f"{each.name} ends before balancers know"


def sized(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Requests for the scheduler, a bound for memory; none for processors, which would only make answers late."""
    for each in containers:
        sizes = each.spec.get("resources", {})
        if not {"cpu", "memory"} <= set(sizes.get("requests", {})) or "memory" not in sizes.get("limits", {}):
            yield f"{each.name} does not say what it needs"
        if "cpu" in sizes.get("limits", {}):
            yield f"{each.name} is throttled"
        for volume in each.pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{each.name}: volume {volume['name']} has no bound"


def pinned(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """An image is a name and a version, or a digest: never what a registry calls the latest."""
    for each in containers:
        image = each.spec["image"]
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and (not tag or tag == "latest"):
            yield f"{each.name} runs {image}"


def drains(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """A pod has time for its preStop, and for what the program needs after it."""
    for each in containers:
        waits = each.spec.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        own = sum(
            float(value) for value in re.findall(r"--(?:drain-s|grace-s|exit-timeout-secs)=(\d+)", str(each.spec))
        )
        if waits + own + 5 > each.pod.get("terminationGracePeriodSeconds", 30) and waits:
            yield f"{each.name} is killed before it has drained"


def secret(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Secrets are named, never written, and a pod without one does not start."""
    for resource in resources:
        if resource["kind"] == "Secret":
            yield f"secret/{resource['metadata']['name']} is written down"
        if resource["kind"] == "ConfigMap" and not resource["metadata"]["name"].startswith("dashboard-"):
            for key in resource.get("data", {}):
                if SECRET_WORDS.search(key):
                    yield f"configmap/{resource['metadata']['name']} holds {key}"
    for each in containers:
        for variable in each.spec.get("env", []):
            if SECRET_WORDS.search(variable["name"]) and "value" in variable:
                yield f"{each.name} has {variable['name']} in clear"
        for kind, name, optional in references(each):
            if optional:
                yield f"{each.name} starts without {kind} {name}"


def resolved(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Every ConfigMap, Secret, claim and account that a pod names is rendered with it, or is one that is given."""
    there = {(resource["kind"], resource["metadata"]["name"]) for resource in resources} | GIVEN
    there |= {("PersistentVolumeClaim", CLAIM), ("ServiceAccount", "shopfuse")}
    for each in containers:
        for kind, name, _ in references(each):
            if (kind, name) not in there:
                yield f"{each.name} needs {kind} {name}, which nobody makes"


def references(each: Container) -> Iterator[tuple[str, str, bool]]:
    """(kind, name, whether the pod starts without it)."""
    kinds = {
        "secretRef": "Secret",
        "configMapRef": "ConfigMap",
        "secretKeyRef": "Secret",
        "configMapKeyRef": "ConfigMap",
    }
    sources: list[dict[str, Any]] = [*each.spec.get("envFrom", [])]
    sources += [variable["valueFrom"] for variable in each.spec.get("env", []) if "valueFrom" in variable]
    for source in sources:
        for key in kinds.keys() & source.keys():
            yield kinds[key], source[key]["name"], source[key].get("optional", False)
    for volume in each.pod.get("volumes", []):
        if held := volume.get("secret"):
            yield "Secret", held["secretName"], held.get("optional", False)
        if held := volume.get("configMap"):
            yield "ConfigMap", held["name"], held.get("optional", False)
        if held := volume.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", held["claimName"], False


def mounted(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """What is mounted is there, and what is there is mounted by some container of its pod."""
    for each in containers:
        names = {volume["name"] for volume in each.pod.get("volumes", [])}
        if unknown := {mount["name"] for mount in each.spec.get("volumeMounts", [])} - names:
            yield f"{each.name} mounts {sorted(unknown)}, which its pod has not"


def spread(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Deployments survive a node, a zone and an eviction: spread, and with a budget that selects their pods."""
    budgets = [each["spec"]["selector"]["matchLabels"] for each in resources if each["kind"] == "PodDisruptionBudget"]
    for resource in resources:
        if resource["kind"] == "Deployment":
            template = resource["spec"]["template"]
            labels, name = template["metadata"]["labels"].items(), resource["metadata"]["name"]
            if not any(budget.items() <= labels for budget in budgets):
                yield f"deployment/{name} has no disruption budget"
            keys = {each["topologyKey"] for each in template["spec"].get("topologySpreadConstraints", [])}
            if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
                yield f"deployment/{name} is not spread"
            if resource["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
                yield f"deployment/{name} is rolled with fewer pods"


def walled(resources: list[Resource], containers: list[Container]) -> Iterator[str]:
    """Everything is denied to every pod, in both directions, and then some flows are allowed."""
    policies = [each["spec"] for each in resources if each["kind"] == "NetworkPolicy"]
    denied = [
        each for each in policies if each["podSelector"] == {} and not each.get("ingress") and not each.get("egress")
    ]
    if not any(set(each["policyTypes"]) == {"Ingress", "Egress"} for each in denied):
        yield "nothing is denied by default"
    for each in policies:
        for rule in each.get("ingress", []) + each.get("egress", []):
            if not (rule.get("from") or rule.get("to")) or not rule.get("ports"):
                yield f"a policy for {each['podSelector']} allows everything"


FOR_PODS: tuple[Policy, ...] = (restricted, probed, sized, pinned, drains, secret, resolved, mounted)
FOR_OVERLAYS: tuple[Policy, ...] = (*FOR_PODS, spread, walled)
