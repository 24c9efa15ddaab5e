"""The Job that builds plans runs the builder, on one GPU of a named model, and cannot write releases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse_exporters.tensorrt import build_plan

FOLDER = Path(__file__).parents[3] / "k8s" / "jobs" / "tensorrt-plans"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def pod() -> Any:
    return read("job.yaml")["spec"]["template"]["spec"]


def test_the_kustomization_names_the_job_its_image_and_its_release() -> None:
    kustomization, job = read("kustomization.yaml"), read("job.yaml")
    container = pod()["containers"][0]

    assert [(FOLDER / path).is_file() for path in kustomization["resources"]] == [True]
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert [image["name"] for image in kustomization["images"]] == [container["image"]]
    generated = {one["name"]: one["literals"] for one in kustomization["configMapGenerator"]}
    assert generated[container["envFrom"][0]["configMapRef"]["name"]] == ["RELEASE=r1"]


def test_it_runs_the_builder_on_one_gpu_of_a_named_model() -> None:
    container = pod()["containers"][0]

    assert container["command"] == ["python3", "-m", build_plan.__name__]
    assert container["args"] == ["--workspace", "/workspace", "--release", "$(RELEASE)"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod()["nodeSelector"]["nvidia.com/gpu.product"]
    assert pod()["restartPolicy"] == "Never"


def test_it_writes_plans_and_nothing_else() -> None:
    mounts = {mount["mountPath"]: mount for mount in pod()["containers"][0]["volumeMounts"]}

    assert mounts["/workspace"]["readOnly"] is True
    plans = WorkspacePaths(Path("/workspace")).plans
    assert mounts[str(plans)]["subPath"] == plans.name
    assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in pod()["volumes"]}
    assert pod()["securityContext"]["runAsNonRoot"] is True


def test_the_image_has_the_tensorrt_of_the_month_of_the_targets() -> None:
    base = next(line for line in (FOLDER / "Dockerfile").read_text().splitlines() if line.startswith("FROM"))

    assert base.split(":")[-1] == f"{read('kustomization.yaml')['images'][0]['newTag']}-py3"


def test_the_image_installs_what_the_builder_is_part_of() -> None:
    lines = (FOLDER / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    install = next(line for line in lines if line.startswith("RUN"))
    folder = Path(build_plan.__file__).parents[2].relative_to(FOLDER.parents[2])

    assert "COPY . /src" in lines
    assert f"pip install --no-cache-dir --no-deps /src/{folder}" in install
    pinned = (FOLDER.parents[2] / "constraints.txt").read_text().splitlines()
    assert {word for word in install.split() if "==" in word and "*" not in word} <= set(pinned)
