"""The text encoder of a shop's own texts: what it learns, and that it learns the same again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shopfuse.inference.text_encoding import padded
from shopfuse.training.data.led_searches import NO_SEARCHES, LedSearches
from shopfuse.training.examples.text_pairs import drawn_query, text_pairs
from shopfuse.training.models.hub_checkpoint import CheckpointError
from shopfuse.training.models.subword_encoder import WEIGHTS, directions, save_subword_encoder
from shopfuse.training.models.subwords import learn_tokenizer, shared_ngrams
from shopfuse.training.models.text_encoder import load_text_encoder
from shopfuse.training.trainers.subword_encoder import SubwordTraining, TrainedEncoder, train_subword_encoder
from tests.training.many_names import shop_of_many_names

SHORT = SubwordTraining(steps=(40, 40), dims=16, batch=64)
SHOP = shop_of_many_names(300)


def trained(seed: int = 0, led: LedSearches = NO_SEARCHES) -> TrainedEncoder:
    return train_subword_encoder(text_pairs(SHOP, led, (), (), seed), seed=seed, training=SHORT)


@pytest.fixture(scope="module")
def once() -> TrainedEncoder:
    return trained()


def vectors(encoder: TrainedEncoder, texts: list[str]) -> torch.Tensor:
    tokens = [encoded.ids for encoded in encoder.tokenizer.encode_batch(texts)]
    return directions(encoder.encoder.table.weight, tokens)


def test_the_same_texts_and_seed_give_the_same_encoder(once: TrainedEncoder) -> None:
    again, other = trained(), trained(seed=1)

    assert again.tokenizer.to_str() == once.tokenizer.to_str()
    assert torch.equal(again.encoder.table.weight, once.encoder.table.weight)
    assert not torch.equal(other.encoder.table.weight, once.encoder.table.weight)


def test_items_of_a_kind_are_nearer_to_each_other_than_to_others(once: TrainedEncoder) -> None:
    texts = vectors(once, SHOP.texts())
    cosines, kind = texts @ texts.T, torch.from_numpy(SHOP.category)
    same = kind[:, None] == kind[None, :]

    assert cosines[same].mean() > cosines[~same].mean() + 0.2


def test_searches_teach_what_the_texts_do_not_say() -> None:
    rows = np.flatnonzero(SHOP.category == SHOP.category[0]).astype(np.int32)
    led = LedSearches(["xylophone"] * len(rows), np.arange(len(rows), dtype=np.int32), rows)
    encoder = trained(led=led)

    cosines = vectors(encoder, SHOP.texts()) @ vectors(encoder, ["xylophone"])[0]

    others = np.setdiff1d(np.arange(len(SHOP)), rows)
    assert cosines[rows].mean() > cosines[others].mean() + 0.2
    assert encoder.metrics["searches"] == len(rows)


def test_what_is_held_out_is_not_learned_from() -> None:
    led = LedSearches(["known", "kept"], np.zeros(2, np.int32), np.array([1, 1], np.int32))

    pairs = text_pairs(SHOP, led, {0, 2}, {"kept"}, seed=0)

    assert len(pairs) == len(SHOP) - 2
    assert pairs.items[0].searches == ("known",)


def test_a_text_of_unknown_letters_has_no_direction(once: TrainedEncoder) -> None:
    assert not vectors(once, ["手机", "", "!?"]).any()


def test_pieces_share_the_ngrams_of_their_ends() -> None:
    (short, long, other), count = shared_ngrams(["跑鞋", "跑步鞋", "手机"])

    assert set(short) & set(long)
    assert other == []
    assert count == len(set(short) & set(long))


def test_a_script_without_spaces_has_pieces_of_several_characters() -> None:
    tokenizer = learn_tokenizer(["小米无线蓝牙耳机", "华为蓝牙耳机", "蓝牙音箱"] * 3, 100)

    assert tokenizer.encode("蓝牙耳机").tokens == ["蓝牙耳机"]


def test_queries_are_drawn_from_everything_that_an_item_says() -> None:
    item = text_pairs(SHOP, NO_SEARCHES, (), (), seed=0).items[0]
    draw = np.random.default_rng(0)

    drawn = {drawn_query(item, draw) for _ in range(300)}

    assert set(item.category) <= drawn
    assert set(item.description) & drawn
    assert set(item.title) & drawn


def test_what_is_saved_encodes_as_what_was_trained(once: TrainedEncoder, tmp_path: Path) -> None:
    save_subword_encoder(tmp_path / "own", once.encoder, once.tokenizer, {"made": "now"})

    loaded = load_text_encoder(str(tmp_path / "own"))

    texts = SHOP.texts()[:20]
    inputs = padded([encoded.ids for encoded in once.tokenizer.encode_batch(texts)])
    with torch.no_grad():
        read = loaded.module(*(torch.from_numpy(inputs[name]) for name in ("input_ids", "attention_mask")))
    assert loaded.text_dim == SHORT.dims
    assert torch.allclose(read, vectors(once, texts), atol=1e-5)


def test_weights_that_are_cut_short_are_refused(once: TrainedEncoder, tmp_path: Path) -> None:
    save_subword_encoder(tmp_path / "own", once.encoder, once.tokenizer, {})
    (tmp_path / "own" / WEIGHTS).write_bytes(b"short")

    with pytest.raises(CheckpointError, match="not a text encoder of subwords"):
        load_text_encoder(str(tmp_path / "own"))


def test_the_catalogues_encoder_has_to_be_trained_first() -> None:
    with pytest.raises(CheckpointError, match="build first"):
        load_text_encoder("catalogue")
