"""Generates the Python code of protos/shopfuse/v1, and the descriptor image that buf lints.

The schema of the validation rules comes out of the installed protovalidate, so that nothing is downloaded and the
rules' schema always fits the validator. Usage: python protos/generate.py [--image FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent
VALIDATE = "buf/validate/validate.proto"


def validate_descriptors() -> bytes:
    """The FileDescriptorSet of validate.proto and of what it imports."""
    image = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(image.file.add())
    image.file.add().ParseFromString(validate_pb.FieldRules.desc().file.proto.to_binary())
    return image.SerializeToString()


def run(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit(f"protoc failed: {' '.join(arguments)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, help="write the descriptor image here instead of generating code")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for shopfuse/v1 (default: the repository)")
    options = parser.parse_args()
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("shopfuse/v1/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "validate.binpb"
        rules.write_bytes(validate_descriptors())
        inputs = [f"--descriptor_set_in={rules}", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
        if options.image:
            run(
                [
                    *inputs,
                    "--include_imports",
                    "--include_source_info",
                    f"--descriptor_set_out={options.image}",
                    *sources,
                ]
            )
            return
        out = options.out
        run([*inputs, f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *sources])
        buf = out / "protos" / "python"
        buf.mkdir(parents=True, exist_ok=True)
        run([*inputs, f"--python_out={buf}", f"--pyi_out={buf}", VALIDATE])


if __name__ == "__main__":
    main()
