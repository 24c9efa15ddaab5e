"""Subwords of a shop's own language, learned from its texts: a tokenizer, and the character n-grams of its pieces.

Pieces are learned, not looked up, so that any script will do: one without spaces as well as one of long compounds. Rare
pieces share the n-grams of frequent ones: 跑鞋 begins and ends as 跑步鞋 does, Laufschuhe begins as Laufschuh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD, UNKNOWN = "[PAD]", "[UNK]"
SPECIAL = (PAD, UNKNOWN)  # the first pieces: they stand for no text
LONGEST = 16  # characters of a piece
SHORTEST_GRAM, LONGEST_GRAM = 2, 4
FEWEST = 2  # pieces that hold an n-gram: one of a single piece says nothing that the piece does not
BEGIN, END = "\x02", "\x03"  # an n-gram at an end is another one than inside


def learn_tokenizer(texts: Iterable[str], pieces: int) -> Tokenizer:
    """Of at most `pieces` pieces; the same for the same texts. Characters that they do not hold are unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    between_words = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}\p{M}]+"), "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [between_words, pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        min_frequency=2,
        show_progress=False,
        special_tokens=list(SPECIAL),
        max_token_length=LONGEST,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The pieces by number."""
    numbers: dict[str, int] = tokenizer.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)


def shared_ngrams(pieces: Sequence[str]) -> tuple[list[list[int]], int]:
    """(the numbers of the n-grams that each piece shares with others, how many n-grams there are)."""
    grams = [[] if piece in SPECIAL else _ngrams(piece) for piece in pieces]
    counted = Counter(gram for of_piece in grams for gram in of_piece)
    numbers = {gram: at for at, gram in enumerate(sorted(gram for gram, count in counted.items() if count >= FEWEST))}
    return [[numbers[gram] for gram in of_piece if gram in numbers] for of_piece in grams], len(numbers)


def _ngrams(piece: str) -> list[str]:
    """Distinct."""
    marked = f"{BEGIN}{piece}{END}"
    lengths = range(SHORTEST_GRAM, LONGEST_GRAM + 1)
    return list(dict.fromkeys(marked[at : at + length] for length in lengths for at in range(len(marked) - length + 1)))
