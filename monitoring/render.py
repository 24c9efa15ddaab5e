"""Writes what Prometheus and Grafana read, from the tables of this folder: `python -m monitoring.render`.

A test fails where a file is not what this would write.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from monitoring.boards import BOARDS
from monitoring.dashboard_json import dashboard_json
from monitoring.page import with_tables
from monitoring.rules import rule_files

HERE = Path(__file__).parent
DASHBOARDS, RULES, PAGE = HERE / "dashboards", HERE / "rules", HERE.parent / "docs" / "monitoring.md"
HEADER = "# Written by `make monitoring` from the tables in monitoring/: change those.\n"


def rules_yaml(hold: str = "") -> dict[str, str]:
    """File name -> its text; `hold` as in `rule_files`."""
    return {
        name: HEADER + yaml.safe_dump(groups, sort_keys=False, width=1000, allow_unicode=True)
        for name, groups in rule_files(hold).items()
    }


def rendered() -> dict[Path, str]:
    """Every file that is written, with its text."""
    boards = {DASHBOARDS / f"{board.uid.removeprefix('shopfuse-')}.json": dashboard_json(board) for board in BOARDS}
    rules = {RULES / name: text for name, text in rules_yaml().items()}
    return boards | rules | {PAGE: with_tables(PAGE.read_text("utf-8"))}


def stale() -> list[Path]:
    """What the tables no longer say: files to be written, and dashboards that no table describes."""
    wanted = rendered()
    there = {*DASHBOARDS.glob("*.json"), *RULES.glob("*.yaml")}
    changed = {path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text}
    return sorted(changed | (there - wanted.keys()))


def main() -> None:
    wanted = rendered()
    for path in stale():
        if path not in wanted:
            path.unlink()
            print(f"removed {path}")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], "utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
