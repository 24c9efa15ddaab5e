"""Generates the Python code of protos/.

protos/buf/validate/validate.proto is the schema of the validation rules, as the pinned protovalidate has it: with it
tools of any language load this folder as it is. Usage: python protos/generate.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent
VALIDATE = "buf/validate/validate.proto"


def run(arguments: list[str]) -> None:
    if protoc.main(["protoc", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}", *arguments]) != 0:
        sys.exit(f"protoc failed: {' '.join(arguments)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for shopfuse/v1 (default: the repository)")
    out = parser.parse_args().out
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("shopfuse/v1/*.proto"))
    run([f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *sources])
    rules = out / "protos" / "python"
    rules.mkdir(parents=True, exist_ok=True)
    run([f"--python_out={rules}", f"--pyi_out={rules}", VALIDATE])


if __name__ == "__main__":
    main()
