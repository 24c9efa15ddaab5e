"""The whole of a deployment on one machine, under load: what callers see while releases roll and servers die.

    python benchmarks/fleet.py demo r1 r2        # two releases of a workspace; its channels are changed

A real Envoy with TLS, tokens and quotas stands before two gateways, which ask two Tritons; releases come from a server
that speaks S3. Each step is taken under load: push, publish, roll back, canary, promote, one Triton and one gateway
killed and started again. Run it from a checkout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from shopfuse.cli.console import print_json, print_table, progress_bars
from shopfuse.loadtest.fleet import roll_fleet
from tests.edge.secured import secured
from tests.release_store.s3_server import BUCKET, s3_server

COLUMNS = ("name", "take_s", "step_s", "requests", "errors", "mixed", "degraded", "p50_ms", "p99_ms", "answers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("releases", nargs=2, help="such as r1 r2")
    parser.add_argument("--rate", type=float, default=50.0, help="searches a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="two thirds of them are load beside each step")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first, second = options.releases
    with tempfile.TemporaryDirectory() as folder, s3_server(), progress_bars() as progress:
        rows = roll_fleet(
            options.workspace,
            f"s3://{BUCKET}/{time.time_ns()}",  # a workspace knows the stores that it has pushed to
            (first, second),
            rate=options.rate,
            seconds=options.seconds,
            edge=partial(secured, Path(folder)),
            progress=progress,
        )
    if options.json:
        print_json({"rows": rows})
        return
    title = f"{options.rate:g} searches a second through Envoy, two gateways, two Tritons"
    print_table(title, COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


if __name__ == "__main__":
    main()
