"""Generates the Python code of protos/.

protos/buf/validate/validate.proto is the schema of the validation rules, as the pinned protovalidate has it, and
protos/google/api that of the paths over HTTP, as the pinned googleapis-common-protos has it: with them tools of any
language load this folder as it is. shopfuse/v1/api.binpb is the API as a FileDescriptorSet, for what translates JSON;
protos/openapi.json describes the API over HTTP. Usage: python protos/generate.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2
from grpc_tools import protoc
from openapi import document

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent
COMMON = Path(status_pb2.__file__).parents[2]  # the folder of googleapis-common-protos' .proto files
VALIDATE = "buf/validate/validate.proto"
API = "shopfuse/v1/api.binpb"
# The details that errors carry: JSON is made of them by their names.
ERRORS = ("google/rpc/status.proto", "google/rpc/error_details.proto")


def run(arguments: list[str]) -> None:
    if protoc.main(["protoc", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}", *arguments]) != 0:
        sys.exit(f"protoc failed: {' '.join(arguments)}")


def describe(sources: list[str], file: Path, *options: str) -> bytes:
    """Writes the API and all that it imports as a FileDescriptorSet."""
    run([f"-I{COMMON}", "--include_imports", *options, f"--descriptor_set_out={file}", *sources, *ERRORS])
    return file.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for shopfuse/v1 (default: the repository)")
    out = parser.parse_args().out
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("shopfuse/v1/*.proto"))
    run([f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *sources])
    rules = out / "protos" / "python"
    rules.mkdir(parents=True, exist_ok=True)
    run([f"--python_out={rules}", f"--pyi_out={rules}", VALIDATE])
    described = FileDescriptorSet.FromString(describe(sources, out / API, "--include_source_info"))
    openapi = json.dumps(document(described), indent=2, ensure_ascii=False) + "\n"
    (out / "protos" / "openapi.json").write_text(openapi, encoding="utf-8")
    describe(sources, out / API)


if __name__ == "__main__":
    main()
