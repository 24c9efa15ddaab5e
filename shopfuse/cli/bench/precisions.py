"""`shopfuse bench precisions`: what each precision of the text encoder costs and brings on a shop's own catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic, load_topics
from shopfuse.evaluation.quality_rows import score_rankings
from shopfuse.inference.text_encoding import TextEncoding, open_tokenizer
from shopfuse.ranking.text import normalise_query
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.models.text_encoder import LoadedTextEncoder, load_text_encoder
from shopfuse_exporters.encoding.encoder import export_text_encoder
from shopfuse_exporters.models.shop import load_catalogue_of
from shopfuse_exporters.precision.calibration import title_queries
from shopfuse_exporters.precision.convert import FULL, PRECISIONS
from shopfuse_exporters.precision.measure import (
    Encoded,
    Speed,
    encode,
    likeness,
    megabytes,
    overlap,
    served_queries,
    speeds,
)
from shopfuse_exporters.verify.verified_model import VerifiedModel

COLUMNS = ("name", "ms", "speed_up", "mb", "cosine_mean", "cosine_min", "overlap@10", "ndcg@10", "ndcg@10_loss")
TITLES = 100  # of which queries are made where none are given
Row = dict[str, object]

JudgmentsOption = Annotated[
    Path | None, typer.Option("--judgments", "-j", help="CSV or Parquet: query,item_id,grade. Default: no NDCG.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--precision", help="Measure this one beside fp32; may be repeated. Default: all.")
]
EncodersOption = Annotated[
    list[Path] | None, typer.Option("--encoder", help="Measure this encoder too, as 'compress' made it; repeatable.")
]
ItemsOption = Annotated[int, typer.Option(min=100, help="Items to rank: those judged, and others spread evenly.")]


@dataclass(frozen=True, slots=True)
class Sample:
    """What is encoded and ranked. `topics` is empty where nobody judged anything."""

    item_ids: list[str]
    texts: list[str]
    queries: list[str]
    topics: list[Topic]

    def ndcg(self, rankings: NDArray[np.int64]) -> float | None:
        """NDCG@10 of the semantic channel alone."""
        if not self.topics:
            return None
        named = [[self.item_ids[row] for row in ranking] for ranking in rankings.tolist()]
        return float(score_rankings(self.topics, named).ndcg.mean())


@dataclass(frozen=True, slots=True)
class Encoder:
    """A text encoder in one precision: the file that a build would serve."""

    verified: VerifiedModel
    encoding: TextEncoding


def precisions(
    workspace: WorkspaceOption,
    judgments: JudgmentsOption = None,
    precision: OnlyOption = None,
    others: EncodersOption = None,
    items: ItemsOption = 20_000,
    json: JsonOption = False,
) -> None:
    """The text encoder in each precision: time of a query, size, and how search by meaning changes.

    Catalogue and queries are encoded by each precision anew, which takes a minute or two for 20,000 items. Needs no
    build. Times are of this machine's processor: int8 needs AVX-512 VNNI or the like. Other encoders, pruned or
    distilled ones, are measured in the same precisions with --encoder.

    shopfuse bench precisions -w myshop -j judgments.csv --encoder encoders/pruned
    """
    names = _chosen(precision or PRECISIONS)
    with progress_bars() as progress:
        shop = Workspace.open(workspace)
        sample = _sample(load_catalogue_of(shop), load_topics(judgments, "query") if judgments else [], items)
        encoders = _encoders(shop, others or [], names, progress)
        encoded = {name: _encode(name, encoder, sample, progress) for name, encoder in encoders.items()}
        rows = _rows(sample, encoders, encoded, _speeds(encoders, sample.queries, progress))
    _report(sample, rows, json)


def _chosen(names: Sequence[str]) -> list[str]:
    """fp32 first: the others are compared to it."""
    for name in names:
        if name not in PRECISIONS:
            raise ShopfuseError(f"--precision {name}: expected one of {', '.join(PRECISIONS)}")
    return [name for name in PRECISIONS if name == FULL or name in names]


def _sample(catalogue: Catalogue, topics: list[Topic], items: int) -> Sample:
    """Available items only, as the gateway answers."""
    judged = {item_id for topic in topics for item_id in topic.grades}
    there = np.flatnonzero(catalogue.available)
    must = np.array([catalogue.ids[row] in judged for row in there], np.bool_)
    others = there[~must]
    room = min(len(others), max(0, items - int(must.sum())))
    spread = others[np.unique(np.linspace(0, len(others) - 1, room).astype(np.int64))]
    rows = np.sort(np.concatenate([there[must], spread]))
    texts, titles = catalogue.texts(), catalogue.frame["title"].to_list()
    step = max(1, len(titles) // TITLES)
    asked = [topic.query for topic in topics] or title_queries(titles[::step][:TITLES])
    return Sample(
        [catalogue.ids[row] for row in rows], [texts[row] for row in rows], [normalise_query(q) for q in asked], topics
    )


def _encoders(shop: Workspace, others: Sequence[Path], names: Sequence[str], progress: Progress) -> dict[str, Encoder]:
    """By precision the shop's own, fp32 first, then by folder and precision the others."""
    loaded = {"": load_text_encoder(shop.settings.text_encoder)}
    loaded |= {f"{folder} ": _made_from(loaded[""], folder) for folder in others}
    encoders: dict[str, Encoder] = {}
    for whose, encoder in loaded.items():
        for name in names:
            progress("export and verify", len(encoders), len(loaded) * len(names))
            encoders[whose + name] = _exported(shop, encoder, name)
    progress("export and verify", len(encoders), len(encoders))
    return encoders


def _made_from(own: LoadedTextEncoder, folder: Path) -> LoadedTextEncoder:
    """The encoder in `folder`; raises ShopfuseError where its vectors or tokens are not like those of `own`."""
    other = load_text_encoder(str(folder))
    if other.text_dim != own.text_dim:
        raise ShopfuseError(f"--encoder {folder}: vectors of {other.text_dim} numbers, the shop's have {own.text_dim}")
    if other.tokenizer_json.read_bytes() != own.tokenizer_json.read_bytes():
        raise ShopfuseError(f"--encoder {folder}: its tokenizer.json is not that of the shop's encoder")
    return other


def _exported(shop: Workspace, loaded: LoadedTextEncoder, precision: str) -> Encoder:
    verified = export_text_encoder(shop, loaded, precision)
    tokenizer = open_tokenizer(Path(loaded.tokenizer_json), loaded.max_tokens)
    return Encoder(verified, TextEncoding(verified.open(), tokenizer))


def _encode(name: str, encoder: Encoder, sample: Sample, progress: Progress) -> Encoded:
    model = encoder.verified.open()
    return encode(encoder.encoding, model, sample.texts, sample.queries, progress, f"encode in {name}")


def _speeds(encoders: dict[str, Encoder], queries: Sequence[str], progress: Progress) -> dict[str, Speed]:
    models = {name: encoder.verified.open() for name, encoder in encoders.items()}
    tokens = encoders[FULL].encoding.tokens(queries)
    return speeds(models, served_queries(models[FULL], tokens), progress)


def _rows(
    sample: Sample, encoders: dict[str, Encoder], encoded: dict[str, Encoded], taken: dict[str, Speed]
) -> list[Row]:
    rankings = {name: part.rankings() for name, part in encoded.items()}
    best = sample.ndcg(rankings[FULL])
    rows: list[Row] = []
    for name, part in encoded.items():
        cosines, ndcg = likeness(encoded[FULL], part), sample.ndcg(rankings[name])
        rows.append(
            {
                "name": name,
                "ms": taken[name].ms,
                "speed_up": taken[name].speed_up,
                "mb": megabytes(encoders[name].verified.path),
                "cosine_mean": float(cosines.mean()),
                "cosine_min": float(cosines.min()),
                "overlap@10": overlap(rankings[FULL], rankings[name]),
                "ndcg@10": ndcg,
                "ndcg@10_loss": None if best is None or ndcg is None else best - ndcg,
            }
        )
    return rows


def _report(sample: Sample, rows: list[Row], as_json: bool) -> None:
    if as_json:
        print_json({"rows": rows, "items": len(sample.item_ids), "queries": len(sample.queries)})
        return
    shown = [column for column in COLUMNS if rows[0][column] is not None]
    print_table(
        "text encoder, one query with one thread",
        shown,
        [[_cell(column, row[column]) for column in shown] for row in rows],
    )
    out.print(f"{len(sample.queries)} queries over {len(sample.item_ids)} items")


def _cell(column: str, value: object) -> object:
    """Cosines near 1 need more digits than the table gives numbers."""
    return f"{value:.5f}" if column.startswith("cosine") else value
