"""A real electronics catalogue, where the folder ../shared/data/icecat is at hand; skipped, visibly, elsewhere."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import read_catalogue_mapping
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import load_topics

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "icecat"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real catalogue at {DATA}")


def test_every_product_is_imported_and_every_judged_item_is_there(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "shop")
    mapping = read_catalogue_mapping(ROOT / "examples" / "mappings" / "icecat.toml")

    report = import_catalogue(DATA / "products.jsonl.gz", mapping, workspace)

    items = workspace.items().collect()
    judged = {item for topic in load_topics(DATA / "judgments_dev.csv", "query") for item in topic.grades}
    assert (report.added, report.rejected) == (19_406, 0)
    assert judged <= set(items["item_id"])
    assert items["category"].list.len().max() == 1
    assert items.filter(pl.col("price").is_not_null())["price"].median() == pytest.approx(100, rel=0.9)
