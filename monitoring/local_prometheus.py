"""A real Prometheus on a free port of this machine, for tests and previews, asked over its HTTP API."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitoring.render import HERE, rules_yaml
from shopfuse.core.errors import ShopfuseError
from shopfuse.triton.command import choose_ports

CONFIG = HERE / "prometheus.yml"
HOST = "127.0.0.1"
OWN_JOB = "prometheus"
EVERY = "1s"  # between two scrapes, and between two evaluations of the rules
START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 30.0
# In the place of Grafana's variable: long enough for several scrapes.
RATE_INTERVAL = "10s"


class PrometheusFailed(ShopfuseError):
    """It did not start, or refuses a query."""


@dataclass(frozen=True, slots=True)
class Series:
    labels: dict[str, str]
    points: list[tuple[float, float]]  # (seconds since the epoch, value)


@dataclass(frozen=True, slots=True)
class LocalPrometheus:
    address: str

    def query(self, expr: str) -> list[Series]:
        """The query now, each series with one point. Raises PrometheusFailed where it is not valid."""
        return _series(self._ask("query", query=_own(expr)), "value")

    def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[Series]:
        return _series(self._ask("query_range", query=_own(expr), start=start, end=end, step=step_s), "values")

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self._ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=ANSWER_TIMEOUT_S) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _ask(self, what: str, **arguments: object) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as response:
                data: dict[str, Any] = json.load(response)["data"]
                return data
        except urllib.error.HTTPError as error:
            raise PrometheusFailed(f"{arguments}: {json.load(error)['error']}") from error


def _own(expr: str) -> str:
    return expr.replace("$__rate_interval", RATE_INTERVAL)


def _series(data: dict[str, Any], key: str) -> list[Series]:
    if data["resultType"] == "scalar":
        return [Series({}, [(data["result"][0], float(data["result"][1]))])]
    return [
        Series(one["metric"], [(at, float(value)) for at, value in ([one[key]] if key == "value" else one[key])])
        for one in data["result"]
    ]


def _configure(folder: Path, targets: Mapping[str, str]) -> Path:
    """The configuration that is delivered, with these targets (job -> HOST:PORT), and the rules without patience."""
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["global"] = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    del config["alerting"]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in targets]
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "rules").mkdir(parents=True)
    for name, text in rules_yaml(hold=EVERY).items():
        (folder / "rules" / name).write_text(text, "utf-8")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


@contextmanager
def local_prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[LocalPrometheus]:
    """Scrapes the targets inside the block, by the name of their job, and itself. Raises PrometheusFailed."""
    program = shutil.which("prometheus")
    if program is None:
        raise PrometheusFailed("prometheus is not on the PATH: install it (Debian: apt-get install prometheus)")
    address = f"{HOST}:{choose_ports(HOST, (0,))[0]}"
    config = _configure(folder, {**targets, OWN_JOB: address})
    log = folder / "prometheus.log"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=file, stderr=file)
    try:
        prometheus = LocalPrometheus(address)
        give_up = time.monotonic() + START_TIMEOUT_S
        while not prometheus.is_ready():
            if process.poll() is not None or time.monotonic() > give_up:
                raise PrometheusFailed(f"Prometheus did not start: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.05)
        yield prometheus
    finally:
        process.terminate()
        process.wait()
