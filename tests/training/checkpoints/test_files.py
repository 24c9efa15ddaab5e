"""What training leaves on disk reads back as it was, and says so when it does not."""

from pathlib import Path

import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.training.checkpoints.files import load_checkpoint, save_checkpoint
from shopfuse.training.models.towers import ItemTower, QueryTower


def test_a_saved_checkpoint_is_loaded_as_it_was(tmp_path: Path) -> None:
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
