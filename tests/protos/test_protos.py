"""The generated code is what the .proto files say, and they follow buf's STANDARD rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = ROOT / "node_modules" / ".bin" / "buf"
GENERATED = ("shopfuse/v1", "protos/python/buf/validate")


def generate(*arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "protos" / "generate.py"), *arguments], check=True, cwd=ROOT)


def lint(image: Path) -> list[str]:
    """buf's complaints about our own files; the rules' schema inside the image is not ours."""
    command = [str(BUF), "lint", str(image), "--config", str(ROOT / "protos" / "buf.yaml")]
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not output.stderr, output.stderr
    return [line for line in output.stdout.splitlines() if not line.startswith(("buf/", "google/"))]


def test_committed_code_is_what_the_protos_generate(tmp_path: Path) -> None:
    generate("--out", str(tmp_path))

    for folder in GENERATED:
        for fresh in sorted((tmp_path / folder).glob("*_pb2*")):
            committed = ROOT / folder / fresh.name
            assert committed.read_bytes() == fresh.read_bytes(), f"{committed} is stale: run make proto"


def test_protos_are_lint_clean(tmp_path: Path) -> None:
    image = tmp_path / "image.binpb"
    generate("--image", str(image))

    assert lint(image) == []


def test_lint_sees_a_service_without_suffix(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pb2

    image = tmp_path / "image.binpb"
    generate("--image", str(image))
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    search = next(file for file in files.file if file.name == "shopfuse/v1/search.proto")
    search.service[0].name = "Searching"
    image.write_bytes(files.SerializeToString())

    assert any("Service" in line for line in lint(image))


@pytest.mark.parametrize("module", ["item_pb2", "search_pb2", "recommendation_pb2", "text_pb2"])
def test_generated_code_imports_with_the_pinned_runtime(module: str) -> None:
    __import__(f"shopfuse.v1.{module}")
