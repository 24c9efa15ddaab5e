"""The program `shopfuse`, also as `python -m shopfuse`, which torchrun starts."""

from __future__ import annotations

import sys

EVERYTHING = "pip install '.[triton]' ./gateway ./exporters"  # in a checkout


def main() -> None:
    """Where only a part of shopfuse is installed, such as the gateway, one line says what the commands need."""
    try:
        from shopfuse.cli.main import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("shopfuse."):
            raise
        print(f"error: the commands need {error.name}, which is not installed here: {EVERYTHING}", file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
