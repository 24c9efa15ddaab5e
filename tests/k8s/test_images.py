"""Images hold what is locked and declared, nobody in them is root, and one machine runs them as a cluster does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shopfuse.triton.__main__ import _parse as triton_options
from shopfuse_gateway.main import parse as gateway_options
from tests.architecture.house import Module, modules
from tests.architecture.test_arrows import HEAVY
from tests.architecture.test_distributions import FOLDERS, constraints, declared_by, project, third_parties
from tests.k8s.rendered import JOBS, OVERLAYS, ROOT, containers

# Image -> what it installs of ours: (distribution, its extras).
IMAGES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "gateway": (("shopfuse-gateway", ()), ("shopfuse", ("store",))),
    "triton": (("shopfuse", ("triton",)),),
    "exporters": (("shopfuse-exporters", ()), ("shopfuse-gateway", ()), ("shopfuse", ("triton", "store"))),
}
ENVOY = "envoyproxy/envoy"  # of the version that tests run: see tests/edge
LOCKS = ("build.txt", *(f"{image}/requirements.txt" for image in IMAGES))
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def dockerfile(image: str) -> list[str]:
    return text_of(f"images/{image}/Dockerfile").replace("\\\n", "").splitlines()


def compose() -> Any:
    return yaml.safe_load(text_of("compose.yaml"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_registry(lock: str) -> None:
    text = text_of(f"images/{lock}")
    entries = re.sub(r"#.*\n", "", text).replace("\\\n", "").splitlines()

    assert entries and all(PIN.match(entry) and " --hash=sha256:" in entry for entry in entries)
    assert "://" not in text and "--index" not in text and "--find-links" not in text


@pytest.mark.parametrize("image", IMAGES)
def test_a_lock_has_the_versions_that_tests_run_with(image: str) -> None:
    pinned = constraints()
    for name, version in PIN.findall(text_of(f"images/{image}/requirements.txt")):
        assert pinned.get(name, version) == version, f"{name}: run `make locks`"


@pytest.mark.parametrize("image", IMAGES)
def test_a_lock_has_everything_that_is_declared(image: str) -> None:
    declared = {name for distribution, extras in IMAGES[image] for name in declared_by(distribution, *extras)}
    locked = {name for name, _ in PIN.findall(text_of(f"images/{image}/requirements.txt"))}

    assert declared - set(FOLDERS) <= locked, "run `make locks`"


def started(image: str) -> set[str]:
    """The modules that pods and the services of one machine start in an image."""
    scripts = {
        key: text.partition(":")[0] for name in FOLDERS for key, text in project(name).get("scripts", {}).items()
    }
    [entry] = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in dockerfile(image) if line.startswith("ENTRY")]
    pods = [each.spec for folder in (*OVERLAYS, *JOBS) for each in containers(folder)]
    commands = [(each["image"], each.get("command")) for each in pods]
    commands += [(each["image"], each.get("entrypoint")) for each in compose()["services"].values()]
    found: set[str] = set()
    for name, command in commands:
        match (command or entry) if name.startswith(f"shopfuse-{image}") else []:
            case ["python", "-m", module, *_]:
                found.add(module)
            case [script, *_] if script in scripts:
                found.add(scripts[script])
    return found


def reached(names: set[str]) -> set[Module]:
    """The modules of ours that these import, directly or through others, at any time."""
    known, seen = {module.name: module for module in modules()}, set[str]()
    left = {f"{name}.__main__" if f"{name}.__main__" in known else name for name in names}
    while left:
        seen |= left
        imported = {name for module in left for name in known[module].imports}
        left = {name for name in imported if name in known} - seen
    return {known[name] for name in seen}


@pytest.mark.parametrize(
    ("image", "programs"),
    [
        ("gateway", {"shopfuse_gateway.__main__", "shopfuse.cli.release_store"}),
        ("triton", {"shopfuse.triton"}),
        ("exporters", {"shopfuse.__main__"}),
    ],
)
def test_what_is_started_in_an_image_finds_all_that_it_imports(image: str, programs: set[str]) -> None:
    locked = {name for name, _ in PIN.findall(text_of(f"images/{image}/requirements.txt"))}
    needed = third_parties(reached(started(image)))

    assert started(image) == programs
    assert {name: module for name, module in needed.items() if name not in locked} == {}


@pytest.mark.parametrize("image", ["gateway", "triton"])
def test_what_serves_brings_no_training(image: str) -> None:
    locked = {name for name, _ in PIN.findall(text_of(f"images/{image}/requirements.txt"))}
    needed = {"safetensors", "onnxruntime"} if image == "triton" else {"safetensors", "obstore"}

    assert not locked & (HEAVY - needed)


@pytest.mark.parametrize("image", IMAGES)
def test_nobody_in_an_image_is_root_or_needs_a_shell(image: str) -> None:
    lines = dockerfile(image)
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM")) :]

    assert "USER 10001:10001" in last
    assert not [line for line in last if line.startswith(("RUN", "ADD", "CMD"))]
    [entry] = [line.removeprefix("ENTRYPOINT ") for line in last if line.startswith("ENTRYPOINT")]
    assert isinstance(json.loads(entry), list)


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_is_installed_is_checked_against_its_hash(image: str) -> None:
    installs = re.findall(r"pip [^&]*install [^&]*", "\n".join(dockerfile(image)))

    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_pods_run_the_images_that_there_are() -> None:
    folders = ("overlays/production", "jobs/publish")
    ours = {each.spec["image"].partition(":")[0] for folder in folders for each in containers(folder)}

    assert ours - {ENVOY} == {f"shopfuse-{image}" for image in IMAGES}


def test_the_tags_are_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', text_of("pyproject.toml"), re.MULTILINE)
    assert version
    for folder in ("overlays/production", "jobs/demo-shop", "jobs/publish"):
        images = [each.spec["image"].partition(":") for each in containers(folder)]
        assert {tag for name, _, tag in images if name != ENVOY} == {version[1]}
    served = [each["image"] for each in compose()["services"].values() if each["image"].startswith("shopfuse-")]
    assert {image.partition(":")[2] for image in served} == {version[1]}


def test_what_docker_reads_is_a_list_of_what_images_need() -> None:
    lines = text_of(".dockerignore").splitlines()

    assert lines[1] == "*"
    assert all((ROOT / line.removeprefix("!")).exists() for line in lines if line.startswith("!"))


@pytest.mark.parametrize("name", list(compose()["services"]))
def test_a_service_of_one_machine_is_contained(name: str) -> None:
    service = compose()["services"][name]

    assert service["read_only"] and service["cap_drop"] == ["ALL"] and not service["user"].startswith("0")
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert ("outside" in service["networks"]) == bool(service.get("ports"))
    assert not [key for key in service.get("environment", {}) if "PASSWORD" in key and not key.endswith("__FILE")]


def test_one_machine_runs_the_programs_with_options_that_they_have(tmp_path: Path) -> None:
    services = compose()["services"]
    arguments = [text.replace("/workspace", str(tmp_path)) for text in services["gateway"]["command"]]
    settings, _ = gateway_options(arguments)
    triton = triton_options(services["triton"]["command"])

    assert settings.triton == f"triton:{triton.grpc_port}" and triton.host == settings.host == "0.0.0.0"
    assert services["gateway"]["ports"] == [f"127.0.0.1:{settings.grpc_port}:{settings.grpc_port}"]
    assert f"--triton={settings.triton}" in services["release-sync"]["command"]
    assert services["triton"]["tmpfs"] == ["/tmp:exec"]  # backends are loaded from there; Docker's own choice is noexec


def test_what_is_mounted_of_monitoring_is_there() -> None:
    mounts = [str(mount) for each in compose()["services"].values() for mount in each.get("volumes", [])]
    named = {mount.partition(":")[0] for mount in mounts if mount.startswith("./monitoring/")}

    assert named == {
        f"./monitoring/{name}"
        for name in ("prometheus.yml", "rules", "alertmanager.yml", "grafana/provisioning", "dashboards")
    }
    assert not (ROOT / "monitoring").is_dir() or all((ROOT / name).exists() for name in named)
