"""The page of one release: what it is made of, how faithful and how good its models are, who made it from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shopfuse.release.channels import Channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest

BAR = 24  # characters of the longest step
SHORT = 12  # of a hash: enough to tell two apart
MB = 1e6
PARITY_COLUMNS = (
    "model",
    "cases",
    "largest difference",
    "least cosine",
    "top 10 kept",
    "NDCG lost",
    "company",
    "padding",
    "verdict",
)


def release_page(root: Path, manifest: Manifest, channels: Channels) -> RenderableType:
    """`root` is the release's folder, for the sizes of its files."""
    parts = [
        _head(root, manifest, channels),
        _models(root, manifest),
        _parity(manifest),
        _quality(manifest),
        _origin(manifest),
        _seconds(manifest.made_by.get("seconds", {})),
    ]
    return Group(*(part for part in parts if part is not None))


def roles_of(release_id: str, channels: Channels) -> str:
    """What a release is to the gateways: "stable", "canary for 5% of users", "previous", or ""."""
    share = f"canary for {channels.canary_share:.3g} of users" if channels.canary_share < 0.01 else ""
    named = {
        channels.stable: "stable",
        channels.canary: share or f"canary for {channels.canary_share:.0%} of users",
        channels.previous: "previous: a rollback goes here",
    }
    return named.get(release_id, "") if release_id else ""


def _head(root: Path, manifest: Manifest, channels: Channels) -> Panel:
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    made = datetime.fromisoformat(manifest.created_at).strftime("%d %B %Y, %H:%M UTC")
    tasks = ", ".join(f"{name} x {weight:g}" for name, weight in manifest.tasks.items())
    lines = [
        f"{manifest.items:,} items, {size / MB:,.0f} MB in {len(manifest.files):,} files, made on {made}",
        f"fusion [bold]{manifest.fusion}[/bold], score = {tasks}",
        "similar items are ordered by the " + ("ranker" if manifest.ranks_similar else "channels"),
        f"text encoder {manifest.text_encoder}, {manifest.text_dim} numbers, at most {manifest.max_tokens} tokens",
        f"language {manifest.language}",
        f"runs on {manifest.target}{_engines(manifest)}",
    ]
    if told := manifest.made_by.get("text_encoder"):
        lines.append(escape(told))
    if manifest.without_meaning:
        lines.append(f"[yellow]{escape(manifest.without_meaning)}[/yellow]")
    role = roles_of(manifest.release_id, channels)
    title = f"release {manifest.release_id}" + (f" · {role}" if role else "")
    return Panel("\n".join(lines), title=title, title_align="left", border_style="green" if role else "dim")


def _engines(manifest: Manifest) -> str:
    """For how many models and for which GPUs the release brings engines along."""
    known = manifest.metrics.get("engines", {})
    built = [engine for engine in known.values() if "architectures" in engine]
    if not built:
        return ""
    return f": {len(built)} of {len(known)} models with an engine for {', '.join(built[0]['architectures'])}"


def _models(root: Path, manifest: Manifest) -> Table:
    table = _table("models", "model", "in Triton", "precision", "MB", "sha256")
    for name, model in sorted(manifest.models.items()):
        folder = ReleaseLayout(root).models / model.model / str(model.version)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        table.add_row(
            name, f"{model.model} / {model.version}", model.precision, f"{size / MB:.1f}", model.sha256[:SHORT]
        )
    return table


def _parity(manifest: Manifest) -> Table:
    """How far what is served is from torch. "company" and "padding": how far an answer moves with other rows in its
    batch, and with more padding."""
    table = _table("parity with torch", *PARITY_COLUMNS)
    for row in parity_table(manifest.parity):
        table.add_row(
            row.model,
            str(row.cases),
            _number(row.max_abs),
            f"{row.cosine_min:.5f}",
            "" if row.overlap is None else f"{row.overlap:.1%}",
            _number(row.ndcg_loss),
            _number(row.neighbours),
            _number(row.padding),
            Text(row.verdict, style="green" if row.verdict == "passed" else "yellow"),
        )
    for name in sorted(manifest.models.keys() - manifest.parity.keys()):
        table.add_row(name, *[""] * (len(PARITY_COLUMNS) - 2), Text("not checked", style="red"))
    return table


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One model; overlap and NDCG loss are None where it ranks nothing."""

    model: str
    precision: str
    cases: int
    max_abs: float
    cosine_min: float
    cosine_mean: float
    overlap: float | None
    ndcg_loss: float | None
    neighbours: float
    padding: float
    verdict: str  # "passed", or "accepted: why"


def parity_table(parity: Mapping[str, Any]) -> list[ParityRow]:
    """The rows of `manifest.parity`, in the order of the models' names."""
    return [_parity_row(name, parity[name]) for name in sorted(parity)]


def _parity_row(name: str, report: Mapping[str, Any]) -> ParityRow:
    ranking = report["ranking"] or {}
    return ParityRow(
        model=name,
        precision=report["precision"],
        cases=report["cases"],
        max_abs=report["max_abs_diff"],
        cosine_min=report["cosine_min"],
        cosine_mean=report["cosine_mean"],
        overlap=ranking.get("overlap"),
        ndcg_loss=ranking.get("ndcg_loss"),
        neighbours=report["neighbours"],
        padding=report["padding"],
        verdict="passed" if report["passed"] else f"accepted: {report['accepted']}",
    )


def _quality(manifest: Manifest) -> Table | None:
    """The numbers of training and encoding, nested groups flattened to a path."""
    rows = list(_flat(manifest.metrics))
    if not rows:
        return None
    table = _table("quality, measured when it was built", "what", "value")
    for name, value in rows:
        table.add_row(name, _number(value))
    return table


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        rows += _flat(value, f"{prefix}{name} · ") if isinstance(value, Mapping) else [(prefix + name, value)]
    return rows


def _origin(manifest: Manifest) -> Table:
    made_by = manifest.made_by
    table = _table("made from", "what", "value")
    for name, digest in made_by.get("data", {}).items():
        table.add_row(name, f"sha256 {digest[:SHORT]}")
    for name, ingredients in manifest.built_with.items():
        table.add_row(name, ", ".join(f"{part} {digest[:SHORT]}" for part, digest in ingredients.items()))
    libraries = ", ".join(f"{name} {version}" for name, version in made_by.get("libraries", {}).items())
    plain = {name: value for name, value in made_by.items() if not isinstance(value, Mapping | list)}
    for name, value in [*plain.items(), ("libraries", libraries)]:
        if value != "":
            table.add_row(name.replace("_", " "), str(value)[: 2 * SHORT] if name == "commit" else str(value))
    return table


def _seconds(seconds: Mapping[str, float]) -> Table | None:
    if not seconds:
        return None
    table = _table(f"time, {sum(seconds.values()):.0f} s", "step", "s", "")
    longest = max(seconds.values()) or 1.0
    for name, took in sorted(seconds.items(), key=lambda step: -step[1]):
        table.add_row(name, f"{took:.1f}", "█" * round(BAR * took / longest))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("MB", "s") else "left")
    return table


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def difference(before: Manifest, after: Manifest) -> Sequence[tuple[str, str, str]]:
    """(what, in the first, in the second) for everything that two releases do not share."""
    rows = [
        (name.replace("_", " "), str(getattr(before, name)), str(getattr(after, name)))
        for name in (
            "items",
            "fusion",
            "tasks",
            "scenes",
            "target",
            "language",
            "text_encoder",
            "without_meaning",
            "max_tokens",
        )
    ]
    rows += [("feature schema", before.feature_schema[:SHORT], after.feature_schema[:SHORT])]
    rows += _both("model", _models_of(before), _models_of(after))
    rows += _both("file", _short(before.files), _short(after.files))
    rows += _both("data", _short(before.made_by.get("data", {})), _short(after.made_by.get("data", {})))
    rows += _both("metric", dict(_texts(before.metrics)), dict(_texts(after.metrics)))
    rows += [("commit", before.made_by.get("commit", "")[:SHORT], after.made_by.get("commit", "")[:SHORT])]
    return [row for row in rows if row[1] != row[2]]


def _models_of(manifest: Manifest) -> dict[str, str]:
    return {name: _model(manifest, name) for name in manifest.models}


def _model(manifest: Manifest, name: str) -> str:
    model = manifest.models[name]
    return f"{model.model} / {model.version}, {model.precision}, {model.sha256[:SHORT]}"


def _short(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:SHORT] for name, digest in hashes.items() if not name.startswith("models/")}


def _texts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _number(value)) for name, value in _flat(metrics)]


def _both(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = dict.fromkeys([*before, *after])
    return [(f"{kind} {name}", before.get(name, "-"), after.get(name, "-")) for name in names]
