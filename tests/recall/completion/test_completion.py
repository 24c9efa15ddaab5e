"""What goes on from some letters: phrases of titles, categories and brands; as typed, or with one slip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shopfuse.recall.completion.index as module
from shopfuse.recall.completion.index import CompletionIndex
from shopfuse.release.manifest import ReleaseError
from tests.recall.completion.shop import completions, item, texts, titled

SHOES = (
    *("Running shoes for women", "Red running shoes for men", "Trail running shoes", "Running cap", "Running cap blue"),
    *("Café table, round", "CAFE TABLE (square)", "Salt & pepper mill", "Salt & Pepper set", "Rug, red", "Rug, blue"),
)


def test_the_last_word_is_unfinished_and_those_before_are_whole(tmp_path: Path) -> None:
    index = completions(tmp_path, titled(*SHOES))

    assert texts(index, "run") == ["running", "running shoes", "running cap"]
    assert texts(index, "running s") == ["running shoes"]
    assert texts(index, "running ") == ["running", "running shoes", "running cap"]
    assert texts(index, "run sh") == []


def test_phrases_end_where_a_title_pauses_and_never_in_a_word_that_says_nothing(tmp_path: Path) -> None:
    index = completions(tmp_path, titled(*SHOES))

    assert texts(index, "running shoes f") == []
    assert texts(index, "salt ") == ["salt", "salt & pepper"]
    assert texts(index, "rug") == ["rug"]


def test_letters_are_folded_for_matching_and_shown_as_the_shop_writes_them(tmp_path: Path) -> None:
    items = titled(*SHOES, "Café table", category="Möbel > Tische", brand="Łódź Øst")
    index = completions(tmp_path, items)

    assert texts(index, "CAFE ta") == texts(index, "café ta") == ["café table"]
    assert texts(index, "mob") == ["Möbel"]
    assert texts(index, "lodz o") == texts(index, "Øst") == ["Łódź Øst"]


def test_categories_go_on_from_any_word_of_their_last_level(tmp_path: Path) -> None:
    index = completions(tmp_path, titled("a b", "c d", category="Sport > Trail running"), [0.5, 0.5])

    assert texts(index, "run", kinds="c") == texts(index, "trail r", kinds="c") == ["Sport > Trail running"]
    assert texts(index, "spo", kinds="c") == ["Sport"]


def test_a_brand_is_typed_with_or_without_what_parts_its_words(tmp_path: Path) -> None:
    index = completions(tmp_path, [item(1, "Shirt", brand="H&M"), item(2, "Cap", brand="Hama")])

    assert texts(index, "h&m", kinds="b") == texts(index, "hm", kinds="b") == ["H&M"]


@pytest.mark.parametrize("typed", ["runing sh", "runninf sh", "rnuning sh", "runnning sh", "running hs", "runningsh"])
def test_one_slip_is_forgiven_where_nothing_begins_as_typed(tmp_path: Path, typed: str) -> None:
    assert texts(completions(tmp_path, titled(*SHOES)), typed) == ["running shoes"]


def test_no_slip_is_looked_for_in_digits_or_few_letters_or_where_something_begins_as_typed(tmp_path: Path) -> None:
    index = completions(
        tmp_path, titled("phone 15 case", "phone 15 case", "phone cord", "phone cord", "phony", "phony")
    )

    assert texts(index, "phone 16") == []
    assert texts(index, "pon") == []
    assert texts(index, "phony") == ["phony"]


def test_what_was_typed_letter_by_letter_is_answered_as_if_typed_at_once(tmp_path: Path) -> None:
    remembering = completions(
        tmp_path, [*titled(*SHOES, category="Sport > Trail running"), item(99, "Cap", brand="H&M")]
    )
    draw = np.random.default_rng(0)
    letters = list("runigshoetclapf& 3")
    for text in (*SHOES, *("".join(draw.choice(letters, 12)) for _ in range(40))):
        slip = int(draw.integers(len(text)))
        typed = text[:slip] + str(draw.choice(letters)) + text[slip + int(draw.integers(2)) :]
        for kinds in ("qcb", "q", "cb"):
            for end in range(1, len(typed) + 1):
                fresh = CompletionIndex.open(tmp_path / "completion")

                assert texts(remembering, typed[:end], 8, kinds) == texts(fresh, typed[:end], 8, kinds), typed[:end]


def test_what_more_popular_items_hold_comes_first_then_what_more_items_hold(tmp_path: Path) -> None:
    titles = ("sand toy", "sand toy", "sage tea", "sage tea", "salt mill", "salt mill", "salt mill")
    index = completions(tmp_path, titled(*titles), [0.1, 0.2, 0.4, 0.5, 0.1, 0.1, 0.1])

    assert texts(index, "sa") == ["sage tea", "salt mill", "sand toy"]


def test_plural_and_order_make_no_second_completion(tmp_path: Path) -> None:
    index = completions(
        tmp_path, titled("shoe rack", "shoe rack", "shoes rack", "shoes rack", "rack shoe", "rack shoe", "rack shoe")
    )

    assert len(texts(index, "shoe")) == len({"shoe", "shoe rack"})
    assert texts(index, "rack ") == ["rack", "rack shoe"]


def test_what_cannot_be_bought_is_not_completed_to(tmp_path: Path) -> None:
    gone = [item(number, "fax machine", "Office > Fax", "Faxco", available=False) for number in range(3)]
    index = completions(tmp_path, [*gone, item(5, "fax paper", "Office"), item(6, "fax paper", "Office")])

    assert texts(index, "fax") == ["fax paper"]
    assert [(one.text, one.items) for one in index.complete("off", 8, ("c",))] == [("Office", 2)]


def test_chinese_is_completed_in_the_middle_of_what_has_no_spaces(tmp_path: Path) -> None:
    index = completions(tmp_path, titled("苹果手机壳 红色", "华为手机壳 硅胶"), language="zh")

    assert texts(index, "手机") == ["手机壳"]


def test_a_prefix_without_letters_has_no_completion(tmp_path: Path) -> None:
    index = completions(tmp_path, titled(*SHOES))

    assert [texts(index, typed) for typed in (" ", "?!", "\ud800", "\0")] == [[], [], [], []]


def test_stored_bests_are_those_of_all_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abc"), 3)) for _ in range(40)]
    titles = [" ".join(rng.choice(words, 3)) for _ in range(400)]
    items, popular = titled(*titles, category="Aa > Ab", brand="Abba"), rng.random(400).tolist()
    typed = ("a", "b", "ab", "ca", "abc", f"{words[0]} ", f"{words[1]} a")
    plain = completions(tmp_path / "plain", items, popular)
    expected = [texts(plain, letters, 20) for letters in typed]
    monkeypatch.setattr(module, "SCANNED", 4)
    stored = completions(tmp_path / "stored", items, popular)

    assert len(np.load(tmp_path / "stored" / "completion" / "nodes.npy")) > 20
    assert len(plain) > 200 and all(expected)
    assert [texts(stored, letters, 20) for letters in typed] == expected


def test_an_empty_shop_completes_nothing(tmp_path: Path) -> None:
    assert texts(completions(tmp_path, []), "shoes") == []


def test_a_damaged_index_is_refused_by_name(tmp_path: Path) -> None:
    completions(tmp_path, titled(*SHOES))
    file = tmp_path / "completion" / "items.npy"
    np.save(file, np.zeros(3, np.uint32))

    with pytest.raises(ReleaseError, match=r"items\.npy"):
        CompletionIndex.open(tmp_path / "completion")
