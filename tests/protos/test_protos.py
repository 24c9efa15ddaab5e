"""The generated code is what the .proto files say; these follow buf's STANDARD rules and load as they lie there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.rpc import status_pb2
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
BUF = ROOT / "node_modules" / ".bin" / "buf"
GENERATED = ("shopfuse/v1", "protos/python/buf/validate")
DESCRIBED = ("shopfuse/v1/api.binpb", "protos/openapi.json")


def lint(folder: Path) -> str:
    """buf's complaints about the protos in a folder."""
    output = subprocess.run([str(BUF), "lint", str(folder)], capture_output=True, text=True, check=False)
    assert not output.stderr, output.stderr
    return output.stdout


def test_committed_code_is_what_the_protos_generate(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(PROTOS / "generate.py"), "--out", str(tmp_path)], check=True, cwd=ROOT)

    for folder in GENERATED:
        for fresh in sorted((tmp_path / folder).glob("*_pb2*")):
            committed = ROOT / folder / fresh.name
            assert committed.read_bytes() == fresh.read_bytes(), f"{committed} is stale: run make proto"
    for name in DESCRIBED:
        assert (ROOT / name).read_bytes() == (tmp_path / name).read_bytes(), f"{name} is stale: run make proto"


def test_the_rules_schema_in_protos_is_that_of_the_installed_validator(tmp_path: Path) -> None:
    image = tmp_path / "rules.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--descriptor_set_out={image}"]
    subprocess.run([*command, "buf/validate/validate.proto"], check=True)
    ours = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file[0]
    installed = descriptor_pb2.FileDescriptorProto.FromString(validate_pb.FieldRules.desc().file.proto.to_binary())
    for file in (ours, installed):
        file.ClearField("options")  # package names of other languages, which code generators set as they like

    assert ours == installed


@pytest.mark.parametrize("name", ["google/api/annotations.proto", "google/api/http.proto"])
def test_the_schema_of_paths_in_protos_is_that_of_the_installed_package(name: str) -> None:
    assert (PROTOS / name).read_bytes() == (Path(status_pb2.__file__).parents[2] / name).read_bytes()


def openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PROTOS / "openapi.json").read_text())
    return document


def test_every_method_is_described_over_http_with_its_bounds() -> None:
    document = openapi()
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    search = document["components"]["schemas"]["SearchRequest"]["properties"]

    assert operations >= {"Search", "Recommend", "RecommendSimilarItems", "RankItems", "ClassifyText", "SearchByGet"}
    assert search["query"] == {
        "type": "string",
        "maxLength": 512,
        "description": "Words, at most 512 code points.",
    }
    assert search["exclude_item_ids"]["items"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "description": "At most 128 bytes of UTF-8.",
    }


def test_every_reference_of_the_http_description_leads_somewhere() -> None:
    document = openapi()
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))

    assert named
    assert named <= set(document["components"]["schemas"])


def test_protos_are_lint_clean() -> None:
    assert lint(PROTOS) == ""


def test_lint_sees_a_service_without_suffix(tmp_path: Path) -> None:
    copy = shutil.copytree(PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns("*.py"))
    search = copy / "shopfuse" / "v1" / "search.proto"
    search.write_text(search.read_text().replace("service SearchService", "service Searching"))

    assert "Service" in lint(copy)


@pytest.mark.parametrize("module", ["item_pb2", "search_pb2", "recommendation_pb2", "text_pb2"])
def test_generated_code_imports_with_the_pinned_runtime(module: str) -> None:
    __import__(f"shopfuse.v1.{module}")
