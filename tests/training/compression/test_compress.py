"""From a shop to a smaller encoder on disk: nearer to its teacher for the training, repeatable, whole or absent."""

import copy
import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import DistilBertConfig

from shopfuse.datasets.workspace import Workspace
from shopfuse.training.compression.compress import Compressed, Effort, distill_encoder, fidelity, prune_encoder
from shopfuse.training.compression.distillation import Distillation, distil, targets_of
from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.compression.shop_texts import shop_texts
from shopfuse.training.compression.token_batches import Tokeniser
from shopfuse.training.models.text_encoder import load_text_encoder
from tests.training.compression.tiny_encoder import write_encoder, write_shop

FILES = ("config.json", "meta.json", "model.safetensors", "tokenizer.json")
SHORT = Effort(epochs=2, items=200)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher"))


def _prune(shop: Workspace, folder: Path, effort: Effort = SHORT) -> Compressed:
    return prune_encoder(shop, folder, 0.5, effort)


def _distill(shop: Workspace, folder: Path, effort: Effort = SHORT) -> Compressed:
    return distill_encoder(shop, folder, 1, effort)


Make = Callable[[Workspace, Path, Effort], Compressed]
both = pytest.mark.parametrize("make", [_prune, _distill])


@both
def test_training_brings_the_student_nearer_to_its_teacher(make: Make, shop: Workspace, tmp_path: Path) -> None:
    before = make(shop, tmp_path / "before", replace(SHORT, epochs=0)).meta["metrics"]

    after = make(shop, tmp_path / "after", replace(SHORT, epochs=6)).meta["metrics"]

    assert 1 - after["cosine_mean"] < 0.9 * (1 - before["cosine_mean"])
    assert after["validation_loss"] < after["first_loss"]


@both
def test_the_result_is_a_plain_checkpoint(make: Make, shop: Workspace, tmp_path: Path) -> None:
    result = make(shop, tmp_path / "small", SHORT)

    config = json.loads((tmp_path / "small" / "config.json").read_text())
    student = load_text_encoder(str(tmp_path / "small"))
    assert [config["num_hidden_layers"], config["intermediate_size"]] == [
        result.meta["layers"][1],
        result.meta["ffn"][1],
    ]
    assert (student.text_dim, student.max_tokens) == (result.teacher.text_dim, result.teacher.max_tokens) == (32, 128)
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == sorted(FILES)
    assert student.tokenizer_json.read_bytes() == result.teacher.tokenizer_json.read_bytes()


@both
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    make: Make, shop: Workspace, tmp_path: Path
) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        make(shop, tmp_path / name, Effort(1, 200, seed))

    contents = {name: [(tmp_path / name / file).read_bytes() for file in FILES] for name in ("first", "again", "other")}
    assert contents["first"] == contents["again"]
    assert contents["first"][2] != contents["other"][2]


def test_a_run_that_only_does_harm_keeps_the_weights_it_started_with(shop: Workspace) -> None:
    teacher = load_text_encoder(shop.settings.text_encoder)
    tokeniser, texts = Tokeniser.of(teacher), shop_texts(shop, 200, 0)
    student = copy.deepcopy(teacher.module)  # nothing is nearer
    before = {name: value.clone() for name, value in student.state_dict().items()}
    targets, held_out = (targets_of(teacher.module, tokeniser, rows) for rows in (texts.training, texts.held_out))

    metrics = distil(
        student, tokeniser, texts, targets, held_out, seed=0, settings=Distillation(epochs=9, learning_rate=30.0)
    )

    assert metrics["epochs"] == 2  # the patience is one epoch
    assert metrics["validation_loss"] == metrics["first_loss"]
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_a_crash_while_writing_leaves_nothing(shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfile", _full_disk)
    out = tmp_path / "out"
    out.mkdir()

    with pytest.raises(CompressionError, match="disk full"):
        _prune(shop, out / "small", replace(SHORT, epochs=0))

    assert list(out.iterdir()) == []


def test_weights_that_find_no_room_are_told_with_the_folder(shop: Workspace, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # bytes that a file may have: config.json fits
    try:
        with pytest.raises(CompressionError, match="small: cannot be written") as failure:
            _prune(shop, tmp_path / "small", replace(SHORT, epochs=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert isinstance(failure.value.__cause__, SafetensorError)
    assert not (tmp_path / "small").exists()


def test_a_crash_while_replacing_leaves_the_earlier_result(
    shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    _prune(shop, out / "small", replace(SHORT, epochs=0))
    before = {path.name: path.read_bytes() for path in (out / "small").iterdir()}
    monkeypatch.setattr(shutil, "copyfile", _full_disk)

    with pytest.raises(CompressionError, match="disk full"):
        prune_encoder(shop, out / "small", 0.25, replace(SHORT, epochs=0))

    assert {path.name: path.read_bytes() for path in (out / "small").iterdir()} == before
    assert [path.name for path in out.iterdir()] == ["small"]


def _full_disk(*_args: object) -> None:
    raise OSError("disk full")


def test_an_earlier_result_of_the_same_command_is_replaced(shop: Workspace, tmp_path: Path) -> None:
    for keep in (0.5, 0.25):
        prune_encoder(shop, tmp_path / "out" / "small", keep, replace(SHORT, epochs=0))

    assert json.loads((tmp_path / "out" / "small" / "config.json").read_text())["intermediate_size"] == 16
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small"]


def test_a_folder_that_holds_something_else_is_refused(shop: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    _distill(shop, tmp_path / "distilled", replace(SHORT, epochs=0))

    for name, problem in (
        ("file", "in the way"),
        ("folder", "holds no earlier result of 'prune'"),
        ("distilled", "holds no earlier result of 'prune'"),
        ("shop", "holds no earlier result of 'prune'"),
        ("file/below", "cannot be written"),
    ):
        with pytest.raises(CompressionError, match=problem):
            _prune(shop, tmp_path / name, replace(SHORT, epochs=0))

    assert (tmp_path / "file").read_text() == "mine"


def test_an_encoder_is_not_compressed_into_itself(tmp_path: Path) -> None:
    first = write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher"))
    _prune(first, tmp_path / "small", replace(SHORT, epochs=0))
    second = write_shop(tmp_path / "second", tmp_path / "small")

    with pytest.raises(CompressionError, match="is the workspace's text_encoder itself"):
        _prune(second, tmp_path / "small")


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher"), items=199)

    with pytest.raises(CompressionError, match=r"items\.parquet: expected at least 200 items .* found 199"):
        _prune(shop, tmp_path / "small")

    assert not (tmp_path / "small").exists()


@both
def test_another_architecture_is_refused(make: Make, tmp_path: Path) -> None:
    config = DistilBertConfig(vocab_size=1100, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher", config))

    with pytest.raises(CompressionError, match=r"expected a BERT-type encoder.* its architecture is 'distilbert'"):
        make(shop, tmp_path / "small", SHORT)

    assert not (tmp_path / "small").exists()


def test_values_out_of_range_are_named(shop: Workspace, tmp_path: Path) -> None:
    with pytest.raises(CompressionError, match="epochs: expected 0 or more, got -1"):
        Effort(epochs=-1)
    with pytest.raises(CompressionError, match="items: expected 1 or more, got 0"):
        Effort(epochs=1, items=0)
    with pytest.raises(CompressionError, match="keep: expected a share"):
        prune_encoder(shop, tmp_path / "small", 1.5, SHORT)
    with pytest.raises(CompressionError, match="layers: expected 1 to 1"):
        distill_encoder(shop, tmp_path / "small", 2, SHORT)

    assert not (tmp_path / "small").exists()


def test_a_damaged_tokenizer_is_named(shop: Workspace, tmp_path: Path) -> None:
    (tmp_path / "teacher" / "tokenizer.json").write_text("{}")

    with pytest.raises(CompressionError, match=r"teacher/tokenizer\.json: not a tokenizer"):
        _prune(shop, tmp_path / "small")


def test_held_out_items_and_unseen_queries_are_not_trained_on(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", write_encoder(tmp_path / "teacher"), queries=40)

    texts = shop_texts(shop, 1000, 0)

    assert (len(texts.training), len(texts.held_out)) == (234, 26)
    assert not set(texts.training.items) & set(texts.held_out.items)
    assert texts.unseen_queries <= set(texts.held_out.queries) - set(texts.training.queries)
    assert len({query for query in texts.training.queries if query.startswith("wanted")}) > 20
    assert texts.training.queries[0] in texts.training.items[0]


def test_fidelity_counts_shared_neighbours() -> None:
    items = torch.eye(12)
    order = torch.tensor([*range(5), *range(10, 12), *range(5, 10)])  # two of the first ten trade places with others
    query = torch.nn.functional.normalize(torch.arange(12.0, 0.0, -1.0), dim=0)[None]

    measures = fidelity(items[order], items, query, query)

    assert measures["overlap@10"] == pytest.approx(0.8)
    assert measures["cosine_min"] == 0.0
    assert measures["cosine_mean"] == pytest.approx((5 + 1) / 13)
