"""The folders of k8s/ keep our policies, and each policy sees what it is there to see."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s import policies
from tests.k8s.policies import FOR_OVERLAYS, FOR_PODS, Policy
from tests.k8s.rendered import JOBS, OVERLAYS, VERSIONS, Container, Resource, containers, rendered

# Resources of operators, whose schemas are no part of Kubernetes.
CUSTOM = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject"}
PRODUCTION = "overlays/production"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", OVERLAYS + JOBS)
def test_every_resource_is_one_of_this_kubernetes(folder: str, version: str) -> None:
    for resource in rendered(folder):
        if resource["kind"] not in CUSTOM:
            kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_is_seen() -> None:
    deployment = copy.deepcopy(next(each for each in rendered(PRODUCTION) if each["kind"] == "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="redinessProbe"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("policy", FOR_OVERLAYS, ids=lambda policy: policy.__name__)
@pytest.mark.parametrize("folder", OVERLAYS)
def test_overlay_keeps_the_policy(folder: str, policy: Policy) -> None:
    assert not list(policy(list(rendered(folder)), containers(folder)))


@pytest.mark.parametrize("policy", FOR_PODS, ids=lambda policy: policy.__name__)
@pytest.mark.parametrize("folder", JOBS)
def test_job_keeps_the_policy(folder: str, policy: Policy) -> None:
    assert not list(policy(list(rendered(folder)), containers(folder)))


def of(resources: list[Resource], kind: str, name: str) -> Any:
    return next(each for each in resources if (each["kind"], each["metadata"]["name"].split("-")[0]) == (kind, name))


def gateway(resources: list[Resource]) -> Any:
    return of(resources, "Deployment", "gateway")["spec"]["template"]["spec"]


def drop(kind: str) -> Callable[[list[Resource]], None]:
    def dropped(resources: list[Resource]) -> None:
        resources[:] = [each for each in resources if each["kind"] != kind]

    return dropped


def change(*keys: str | int, to: Any) -> Callable[[list[Resource]], None]:
    """Sets one field of the gateway's pod."""

    def changed(resources: list[Resource]) -> None:
        place = gateway(resources)
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return changed


def add(resource: Resource) -> Callable[[list[Resource]], None]:
    return lambda resources: resources.append(resource)


OWN = ("containers", 0)
BROKEN: list[tuple[Policy, Callable[[list[Resource]], None], str]] = [
    (policies.restricted, change("securityContext", "runAsNonRoot", to=False), "may run as root"),
    (policies.restricted, change("securityContext", "seccompProfile", to={"type": "Unconfined"}), "seccomp"),
    (policies.restricted, change(*OWN, "securityContext", "allowPrivilegeEscalation", to=True), "gain privileges"),
    (policies.restricted, change(*OWN, "securityContext", "privileged", to=True), "has privileges"),
    (policies.restricted, change(*OWN, "securityContext", "readOnlyRootFilesystem", to=False), "write to its image"),
    (policies.restricted, change("hostNetwork", to=True), "the host's"),
    (policies.restricted, change("automountServiceAccountToken", to=True), "token"),
    (policies.restricted, change("volumes", 0, to={"name": "workspace", "hostPath": {"path": "/"}}), "hostPath"),
    (policies.probed, change(*OWN, "readinessProbe", to=None), "ends before"),
    (policies.sized, change(*OWN, "resources", "limits", to={}), "what it needs"),
    (policies.sized, change(*OWN, "resources", "limits", to={"memory": "1Gi", "cpu": "1"}), "throttled"),
    (policies.sized, change("volumes", 0, to={"name": "workspace", "emptyDir": {}}), "no bound"),
    (policies.pinned, change(*OWN, "image", to="registry:5000/shopfuse-gateway"), "registry:5000"),
    (policies.pinned, change(*OWN, "image", to="shopfuse-gateway:latest"), "latest"),
    (policies.drains, change("terminationGracePeriodSeconds", to=20), "before it has drained"),
    (policies.secret, add({"kind": "Secret", "metadata": {"name": "s"}, "data": {}}), "written down"),
    (policies.secret, add({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"ACCESS_KEY": "k"}}), "ACCESS_KEY"),
    (policies.secret, change(*OWN, "env", to=[{"name": "AWS_SECRET", "value": "k"}]), "in clear"),
    (policies.secret, change(*OWN, "envFrom", to=[{"secretRef": {"name": "s", "optional": True}}]), "starts without"),
    (policies.resolved, change(*OWN, "envFrom", to=[{"secretRef": {"name": "nowhere"}}]), "Secret nowhere"),
    (policies.resolved, drop("ConfigMap"), "ConfigMap release-store"),
    (policies.mounted, change(*OWN, "volumeMounts", to=[{"name": "nothing", "mountPath": "/x"}]), "nothing"),
    (policies.spread, drop("PodDisruptionBudget"), "no disruption budget"),
    (policies.spread, change("topologySpreadConstraints", to=[]), "not spread"),
    (policies.walled, drop("NetworkPolicy"), "nothing is denied"),
    (
        policies.walled,
        add({"kind": "NetworkPolicy", "metadata": {"name": "n"}, "spec": {"podSelector": {}, "ingress": [{}]}}),
        "allows everything",
    ),
]


@pytest.mark.parametrize(("policy", "break_it", "told"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_policy_is_seen(policy: Policy, break_it: Callable[[list[Resource]], None], told: str) -> None:
    resources = copy.deepcopy(list(rendered(PRODUCTION)))
    break_it(resources)
    if policy is policies.probed:
        gateway(resources)["containers"][0].pop("lifecycle")
    pod = gateway(resources)
    broken = [Container("deployment/gateway", pod, spec) for spec in pod["containers"]]
    if policy is policies.resolved:
        broken += containers(PRODUCTION)

    assert any(told in problem for problem in policy(resources, broken))


def test_every_policy_is_broken_by_some_test() -> None:
    assert {policy for policy, _, _ in BROKEN} == set(FOR_OVERLAYS)
