"""The program `shopfuse`: its commands, and what an error looks like.

An error that a user can repair is one line on stderr and exit code 1; a bug keeps its traceback.
"""

from __future__ import annotations

import typer

from shopfuse.cli.ask import complete, rank, recommend, search, similar
from shopfuse.cli.bench import app as bench
from shopfuse.cli.build import build
from shopfuse.cli.classify import classify
from shopfuse.cli.compress import app as compress
from shopfuse.cli.console import report_errors
from shopfuse.cli.demo import demo
from shopfuse.cli.edge import app as edge
from shopfuse.cli.encode import encode
from shopfuse.cli.evaluate.report import app as evaluate
from shopfuse.cli.import_data import app as import_data
from shopfuse.cli.release import app as release
from shopfuse.cli.release_store import add_commands as add_store_commands
from shopfuse.cli.serve import serve
from shopfuse.cli.tensorrt import app as tensorrt
from shopfuse.cli.tune import tune

HELP = """Search and recommendations for an online shop.

A shop is a folder, its workspace. From an empty folder to answers:

\b
  shopfuse import catalog products.jsonl.gz --mapping map.toml -w myshop
  shopfuse import events  clicks.csv        --mapping ga4.toml -w myshop
  shopfuse build -w myshop
  shopfuse serve -w myshop
  shopfuse search "running shoes" -w myshop

`shopfuse demo` does all of it on a simulated shop. Events are optional: without them nothing is trained and the shop
is searched by words and meaning.
"""

app = typer.Typer(
    name="shopfuse", help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
for command in (demo, build, tune, encode, serve, search, recommend, similar, rank, classify, complete):
    app.command()(command)
GROUPS = {
    "import": import_data,
    "compress": compress,
    "tensorrt": tensorrt,
    "release": release,
    "evaluate": evaluate,
    "bench": bench,
    "edge": edge,
}
add_store_commands(release)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    report_errors(app)
