"""What the gateway answers is what the same models say in this process: two rows of one model, within 2 %."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from shopfuse.cli.evaluate.report import app
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.demo_rankers import shop_inputs
from shopfuse.evaluation.offline.holdout import Holdout, split_by_time
from shopfuse.evaluation.offline.judged_cases import JudgedCase
from shopfuse.evaluation.offline.offline_shop import Models, ServedShop, World
from shopfuse.metrics.ndcg import ndcg
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.release.layout import ReleaseLayout
from shopfuse.training.checkpoints.model_files import load_models
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.user_histories import last_moment, user_histories
from tests.evaluation.served.test_shop_replay import write_shop

SPLIT = "6d"


def ndcg_in_this_process(scratch: Workspace, release: str, holdout: Holdout, folder: Path) -> float:
    """NDCG@10 of the released models over the users of `holdout`, each at the own moment."""
    catalogue = load_catalogue(scratch.items().collect())
    models = load_models(scratch.paths.checkpoints, catalogue.ids)
    log = load_event_log(scratch.events(), catalogue, models.scenes)
    indexes = RecallIndexes.open(ReleaseLayout(scratch.paths.release(release)))
    texts = indexes[TEXT_INDEX].vectors.astype(np.float32)
    at = last_moment(scratch.events())
    world = World(catalogue, log, user_histories(log.events, len(log.users)), texts, at)
    modules = Models(models.item_tower, models.query_tower, models.user_tower, models.fusion_ranker, models.tasks)
    shop = ServedShop(world, modules, shop_inputs(scratch, models, catalogue, texts), folder)
    codes, everything = {user: code for code, user in enumerate(log.users)}, np.ones(len(catalogue), np.bool_)
    cases = [
        JudgedCase("", codes.get(user, -1), "", np.zeros(0, np.float32), everything, moment)
        for user, moment in zip(holdout.users, holdout.at.tolist(), strict=True)
    ]
    shop.prepare(cases, np.zeros((len(cases), texts.shape[1]), np.float32))
    values = [
        ndcg(best(shop.scorer()(case)), dict.fromkeys(map(str, wanted), 1.0))
        for case, wanted in zip(cases, np.split(holdout.items, holdout.starts[1:-1]), strict=True)
    ]
    return float(np.mean(values))


def best(scores: NDArray[np.float32]) -> list[str]:
    return [str(row) for row in np.argsort(-scores, kind="stable")[:10].tolist()]


def test_the_served_row_is_that_of_the_same_models_in_this_process(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "own", days=60)
    words = ["recommend", "--split", SPLIT, "-w", shop.root, "--epochs", 1, "--workers", 1, "--json"]
    result = CliRunner().invoke(app, [*map(str, words), "--keep", str(tmp_path / "kept")], catch_exceptions=False)
    document = json.loads(result.stdout.splitlines()[-1])
    scratch = Workspace.open(tmp_path / "kept")
    holdout = split_by_time(shop.events(), load_catalogue(shop.items().collect()), SPLIT).holdout

    here = ndcg_in_this_process(scratch, document["release_id"], holdout, tmp_path / "snapshot")

    assert document["fusion"] in ("weighted", "vote", "softmax", "stacking", "attention", "moe")
    assert len(holdout) == document["users"] > 30
    assert abs(document["rows"]["served"]["ndcg@10"] - here) <= 0.02 * here
