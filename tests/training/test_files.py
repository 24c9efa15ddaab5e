"""What training leaves on disk reads back as it was, and says so when it does not."""

from pathlib import Path

import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.gateway.recall import CHANNEL
from shopfuse.gateway.request import RECOMMEND, SEARCH, SIMILAR
from shopfuse.gateway.settings import Settings
from shopfuse.training.candidate_pool import PER_CHANNEL, POOL, SURFACE_CHANNELS
from shopfuse.training.checkpoints import load_checkpoint, save_checkpoint
from shopfuse.training.towers import ItemTower, QueryTower


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved, loaded = QueryTower(32), QueryTower(32)

    save_checkpoint(tmp_path / "query_tower", saved, {"seed": 0})
    meta = load_checkpoint(tmp_path / "query_tower", loaded)

    assert meta == {"seed": 0}
    assert all(torch.equal(saved.state_dict()[name], value) for name, value in loaded.state_dict().items())


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, QueryTower(32), {})

    with pytest.raises(ShopfuseError, match="not a checkpoint of ItemTower"):
        load_checkpoint(tmp_path, ItemTower(32))


def test_weights_without_meta_data_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, QueryTower(32), {})
    (tmp_path / "meta.json").unlink()

    with pytest.raises(ShopfuseError, match="not a checkpoint"):
        load_checkpoint(tmp_path, QueryTower(32))


def test_replayed_pools_are_those_of_the_gateway(tmp_path: Path) -> None:
    settings = Settings(tmp_path, "none:0")

    assert (settings.pool, settings.per_channel) == (POOL, PER_CHANNEL)
    assert {surface.name: surface.channels for surface in (SEARCH, RECOMMEND, SIMILAR)} == SURFACE_CHANNELS
    assert {name for names in SURFACE_CHANNELS.values() for name in names} <= set(CHANNEL)
