"""An encoder of the shop's own texts is believed where it finds better than words alone, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shopfuse.training.data.led_searches import NO_SEARCHES, LedSearches
from shopfuse.training.examples.text_pairs import TextPairs, text_pairs
from shopfuse.training.models.subword_encoder import directions
from shopfuse.training.trainers.subword_encoder import SubwordTraining, TrainedEncoder, train_subword_encoder
from shopfuse_exporters.encoding.trial import (
    FEWEST,
    USUAL,
    Encode,
    EncoderTrial,
    Gain,
    Question,
    hold_out,
    read_trial,
    try_encoder,
)
from tests.training.many_names import shop_of_many_names, slang_searches

SHOP = shop_of_many_names()
SEARCHED = slang_searches()
LED = LedSearches(
    [query for query, _ in SEARCHED], np.arange(len(SEARCHED), dtype=np.int32), np.array([row for _, row in SEARCHED])
)
WITHHELD, BY_TITLES = hold_out(SHOP, LED, 0), hold_out(SHOP, NO_SEARCHES, 0)
SHORT = SubwordTraining(steps=(150, 150), dims=32)


def encode_by(trained: TrainedEncoder) -> Encode:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = [encoded.ids for encoded in trained.tokenizer.encode_batch(list(texts))]
        return directions(trained.encoder.table.weight, tokens).numpy()

    return encode


@pytest.fixture(scope="module")
def pairs() -> TextPairs:
    return text_pairs(SHOP, LED, WITHHELD.rows, WITHHELD.searches, 0)


def test_an_encoder_that_learned_what_shoppers_call_things_wins(pairs: TextPairs, tmp_path: Path) -> None:
    encode = encode_by(train_subword_encoder(pairs, seed=0, training=SHORT))

    trial = try_encoder(tmp_path / "indexes", SHOP, WITHHELD, encode, {})

    assert trial.won
    assert trial.words < 0.1
    assert trial.meaning > trial.words + 0.1
    assert "held-out searches" in trial.line


@pytest.mark.parametrize("led", [LED, NO_SEARCHES], ids=["searches", "titles"])
def test_an_encoder_of_shuffled_pairs_is_refused(led: LedSearches, tmp_path: Path) -> None:
    withheld = hold_out(SHOP, led, 0)
    pairs = text_pairs(SHOP, led, withheld.rows, withheld.searches, 0)
    mixed = np.random.default_rng(0).permutation(len(pairs))
    shuffled = replace(pairs, texts=[pairs.texts[at] for at in mixed])
    encode = encode_by(train_subword_encoder(shuffled, seed=0, training=SHORT))

    trial = try_encoder(tmp_path / "indexes", SHOP, withheld, encode, {})

    assert not trial.won


def test_directions_without_meaning_are_refused(tmp_path: Path) -> None:
    def noise(texts: Sequence[str]) -> NDArray[np.float32]:
        drawn = [np.random.default_rng(abs(hash(text)) % 2**32).standard_normal(16) for text in texts]
        return torch.nn.functional.normalize(torch.tensor(np.array(drawn)), dim=-1).numpy().astype(np.float32)

    assert not try_encoder(tmp_path / "indexes", SHOP, WITHHELD, noise, {}).won


def test_questions_are_words_of_titles_that_half_of_the_items_lack_in_part() -> None:
    titles = SHOP.frame["title"].to_list()
    lacking = [question for question in BY_TITLES.questions if question.lacks]

    assert len(BY_TITLES.questions) >= FEWEST
    assert abs(2 * len(lacking) - len(BY_TITLES.questions)) <= 1
    assert all(question.lacks in question.query.split() for question in lacking)
    assert all(question.query in titles[question.right[0]] for question in BY_TITLES.questions)
    assert {row for question in BY_TITLES.questions for row in question.right} == BY_TITLES.rows
    assert hold_out(SHOP, NO_SEARCHES, 0) == BY_TITLES
    assert hold_out(SHOP, NO_SEARCHES, 1) != BY_TITLES


def test_searches_are_asked_where_there_are_enough() -> None:
    count = 5 * FEWEST
    rows = np.arange(count, dtype=np.int32)
    led = LedSearches([f"search {row}" for row in rows.tolist()], rows, rows)

    withheld = hold_out(SHOP, led, 0)

    assert len(withheld.questions) == FEWEST
    assert all(question == Question(f"search {question.right[0]}", question.right) for question in withheld.questions)
    assert withheld.searches == {question.query for question in withheld.questions}
    assert not withheld.rows


def test_a_small_shop_has_too_few_questions() -> None:
    assert not hold_out(shop_of_many_names(4 * FEWEST), NO_SEARCHES, 0).are_enough


@pytest.mark.parametrize(
    ("gain", "as_written", "won"),
    [
        (Gain(0.05, 0.01, 0.09, 100), Gain(0.0, -0.01, 0.01, 50), True),
        (Gain(0.05, -0.01, 0.09, 100), Gain(0.0, -0.01, 0.01, 50), False),  # luck
        (Gain(0.05, 0.01, 0.09, 100), Gain(-0.05, -0.08, -0.01, 50), False),  # worse where words are enough
    ],
)
def test_it_must_be_more_than_luck_and_no_loss_where_words_are_enough(gain: Gain, as_written: Gain, won: bool) -> None:
    trial = EncoderTrial("titles", 0.3, 0.35, gain, as_written, USUAL, {"items": 3})

    assert trial.won is won
    assert read_trial(trial.record()) == trial
