"""The index of completions: keys in the order of their bytes, mapped and never parsed, and where a beginning has many
keys, the best of them found beforehand.

Keys are as recall/completion/folding.py makes them, behind a letter for their kind. Entries are numbered best first, so
that the best of some keys are those of the lowest numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.completion.entries import BRAND, CATEGORY, QUERY, CompletionEntry
from shopfuse.recall.completion.folding import folded_prefix
from shopfuse.release.manifest import ReleaseError

KINDS = (QUERY, CATEGORY, BRAND)
TOP = 50  # completions of a kind at most
SCANNED = 512  # keys that a look-up reads; where a beginning has more, its best are stored
MIN_TYPED = 4  # letters: shorter beginnings are one slip from too many words
MAX_TRIES = 64  # beginnings that are looked for in the place of a mistyped one: 200 find no more
REMEMBERED = 8192  # look-ups
LAST = b"\xff"  # no byte of UTF-8: after all that begins with the bytes before it


@dataclass(frozen=True, slots=True)
class Completion:
    kind: str  # QUERY, CATEGORY or BRAND
    text: str
    items: int


class CompletionIndex:
    def __init__(
        self,
        keys: tuple[NDArray[np.uint8], NDArray[np.uint32]],
        entry_of: NDArray[np.uint32],
        texts: tuple[NDArray[np.uint8], NDArray[np.uint32]],
        items: NDArray[np.uint32],
        groups: NDArray[np.uint32],
        nodes: NDArray[np.uint64],
        best: NDArray[np.uint32],
    ) -> None:
        """`keys` and `texts` are bytes and where each begins in them, [n + 1]; `entry_of` [keys]; `items` and `groups`
        [entries], the latter the same for what is one to a shopper; `nodes` [nodes] ascending, the first key of a
        beginning and the one after its last; `best` [nodes, TOP] entries, each group once, filled up with the last."""
        self._keys, self._starts = memoryview(keys[0]), memoryview(keys[1])  # type: ignore[arg-type]
        self._texts, self._text_starts = memoryview(texts[0]), memoryview(texts[1])  # type: ignore[arg-type]
        self._entry_of, self._items, self._groups = entry_of, items, groups
        self._nodes, self._best = nodes, best
        self.complete: Callable[[str, int, tuple[str, ...]], tuple[Completion, ...]]
        self.complete = lru_cache(REMEMBERED)(self._complete)
        self._lost: dict[str, None] = {}  # kinds and beginnings that nothing goes on from, mended or not

    @classmethod
    def open(cls, folder: Path) -> CompletionIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        keys = _open_texts(folder, "keys")
        texts = _open_texts(folder, "texts")
        entry_of = open_array(folder / "entry_of.npy", np.uint32)
        items, groups = open_array(folder / "items.npy", np.uint32), open_array(folder / "groups.npy", np.uint32)
        nodes, best = open_array(folder / "nodes.npy", np.uint64), open_array(folder / "best.npy", np.uint32, 2)
        expected = {
            "entry_of": (len(entry_of), len(keys[1]) - 1),
            "items": (len(items), len(texts[1]) - 1),
            "groups": (len(groups), len(texts[1]) - 1),
            "best": (best.shape, (len(nodes), TOP)),
        }
        for name, (actual, wanted) in expected.items():
            if actual != wanted:
                raise ReleaseError(f"{folder}/{name}.npy: {actual}, expected {wanted}")
        if max(entry_of.max(initial=0), best.max(initial=0)) >= max(len(items), 1):
            raise ReleaseError(f"{folder}/entry_of.npy: an entry beyond the {len(items)}")
        return cls(keys, entry_of, texts, items, groups, nodes, best)

    def __len__(self) -> int:
        return len(self._items)

    def _complete(self, typed: str, k: int, kinds: tuple[str, ...] = KINDS) -> tuple[Completion, ...]:
        """What goes on from `typed`, at most k (up to TOP) of each kind, best first; where nothing does, what goes on
        from it with one slip mended."""
        prefix = folded_prefix(typed)
        if not prefix or self._is_lost(prefix, kinds):
            return ()
        found = [self._best_in([self._range(kind + prefix)], k) for kind in kinds]
        if not any(found) and sum(map(str.isalnum, prefix)) >= MIN_TYPED:
            found = [self._best_in(list(self._near(kind, prefix)), k) for kind in kinds]
            if not any(found):
                self._lose(prefix, kinds)
        entries = ((entry, kind) for of_kind, kind in zip(found, kinds, strict=True) for entry in of_kind)
        return tuple(Completion(kind, self._text(entry), int(self._items[entry])) for entry, kind in sorted(entries))

    def _is_lost(self, prefix: str, kinds: tuple[str, ...]) -> bool:
        """Whether nothing went on from a beginning of `prefix`: then nothing goes on from it either, for no edit is
        right of the longer that was not right of the shorter."""
        asked = _asked(prefix, kinds)
        return any(asked[:end] in self._lost for end in range(len(asked) - len(prefix) + MIN_TYPED, len(asked)))

    def _lose(self, prefix: str, kinds: tuple[str, ...]) -> None:
        if len(self._lost) == REMEMBERED:
            del self._lost[next(iter(self._lost))]  # the oldest
        self._lost[_asked(prefix, kinds)] = None

    def _text(self, entry: int) -> str:
        return str(self._texts[self._text_starts[entry] : self._text_starts[entry + 1]], "utf-8")

    def _key(self, place: int) -> bytes:
        return bytes(self._keys[self._starts[place] : self._starts[place + 1]])

    def _first_from(self, wanted: bytes, low: int, high: int) -> int:
        """The first key of [low, high) that is not before `wanted`."""
        keys, starts = self._keys, self._starts
        while low < high:
            middle = (low + high) // 2
            if bytes(keys[starts[middle] : starts[middle + 1]]) < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def _range(self, prefix: str, low: int = 0, high: int | None = None) -> tuple[int, int]:
        """The keys of [low, high) that begin with `prefix`, by default of all."""
        wanted, high = prefix.encode(), len(self._entry_of) if high is None else high
        low = self._first_from(wanted, low, high)
        if low == high or not self._key(low).startswith(wanted):
            return low, low
        return low, self._first_from(wanted + LAST, low, high)

    def _best_in(self, ranges: Sequence[tuple[int, int]], k: int) -> list[int]:
        """The entries with keys in the ranges, best first, one of each group."""
        if len(ranges) == 1:
            (entries,) = [self._sorted(*one) for one in ranges]
        else:
            entries = sorted(entry for one in ranges for entry in self._sorted(*one))
        return _distinct(entries, self._groups, k)

    def _sorted(self, low: int, high: int) -> list[int]:
        """The entries of keys [low, high), best first; of many the best, where they are stored."""
        entries = np.zeros(0, np.uint32)
        if high - low > SCANNED:
            span = np.uint64(_span(low, high))
            at = int(np.searchsorted(self._nodes, span))
            entries = self._best[at] if at < len(self._nodes) and self._nodes[at] == span else entries
        found: list[int] = (entries if len(entries) else np.sort(self._entry_of[low:high])).tolist()
        return found

    def _near(self, kind: str, typed: str) -> Iterator[tuple[int, int]]:
        """Keys that begin with `typed` after one edit: a letter put in, left out or replaced, two neighbours swapped.

        The edit lies no later than where the last key leaves what was typed. Tried from there on backwards, since
        beginnings are seldom mistyped; the first letter is believed, and digits are: another one is another product.
        """
        whole = [self._range(kind)]  # [letters]: the keys that begin with so many of them
        while len(whole) <= len(typed):
            reached = self._range(kind + typed[: len(whole)], *whole[-1])
            if reached[0] == reached[1]:
                break
            whole.append(reached)
        edits = (edit for at in reversed(range(len(whole))) for edit in self._edits(kind, typed, at, *whole[at]))
        for edited, low, high in islice(edits, MAX_TRIES):
            low, high = self._range(kind + edited, low, high)
            if low < high:
                yield low, high

    def _edits(self, kind: str, typed: str, at: int, low: int, high: int) -> Iterator[tuple[str, int, int]]:
        """(what may have been meant by `typed` if it is right up to its letter `at`, the keys to look for it in), given
        the keys [low, high) that go on from there."""
        before, rest = typed[:at], typed[at:]
        if rest and not rest[0].isdigit() and (len(rest) > 1 or before[-1:] != " "):  # a word of one letter is meant
            yield before + rest[1:], low, high
        if len(rest) > 1 and not (rest[0] + rest[1]).isdigit() and rest[0] != rest[1]:
            yield before + rest[1] + rest[0] + rest[2:], low, high
        for letter, first, last in self._letters_after(kind + before, low, high) if at else ():
            if not letter.isdigit() and letter != rest[:1]:
                yield before + letter + rest, first, last
                if rest and not rest[0].isdigit():
                    yield before + letter + rest[1:], first, last

    def _letters_after(self, prefix: str, low: int, high: int) -> Iterator[tuple[str, int, int]]:
        """The letters that keys [low, high), all of which begin with `prefix`, have next, each with these keys."""
        length = len(prefix)
        while low < high:
            key = self._key(low).decode()
            if len(key) == length:
                low += 1
                continue
            end = self._first_from(key[: length + 1].encode() + LAST, low, high)
            yield key[length], low, end
            low = end


def _open_texts(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    text, starts = open_array(folder / f"{name}.npy", np.uint8), open_array(folder / f"{name}_starts.npy", np.uint32)
    if len(starts) == 0 or int(starts[-1]) != len(text):
        raise ReleaseError(f"{folder}/{name}_starts.npy: does not fit {name}.npy")
    return text, starts


def _distinct(entries: Iterable[int], groups: NDArray[np.uint32], k: int) -> list[int]:
    """The first k entries of different groups."""
    found: dict[int, int] = {}
    for entry in entries:
        if found.setdefault(int(groups[entry]), entry) == entry and len(found) == k:
            break
    return list(found.values())


def write_completions(folder: Path, entries: Sequence[CompletionEntry], stem: Callable[[str], str]) -> None:
    """Writes the index of `entries`, best first. Those of the same words in any order and number, as `stem` makes
    them, are one to a shopper."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = sorted(((entry.kind + key).encode(), number) for number, entry in enumerate(entries) for key in entry.keys)
    keys, entry_of = [key for key, _ in pairs], np.array([number for _, number in pairs], np.uint32)
    groups = _groups(entries, stem)
    nodes = dict(_nodes(keys, entry_of, groups))
    best = np.zeros((len(nodes), TOP), np.uint32)
    for row, node in enumerate(sorted(nodes)):
        best[row, : len(nodes[node])] = nodes[node]
        best[row, len(nodes[node]) :] = nodes[node][-1]
    _write_texts(folder, "keys", keys)
    _write_texts(folder, "texts", [entry.text.encode() for entry in entries])
    write_array(folder / "entry_of.npy", entry_of)
    write_array(folder / "items.npy", np.array([entry.items for entry in entries], np.uint32))
    write_array(folder / "groups.npy", groups)
    write_array(folder / "nodes.npy", np.array(sorted(nodes), np.uint64))
    write_array(folder / "best.npy", best)


def _asked(prefix: str, kinds: Sequence[str]) -> str:
    return f"{''.join(kinds)} {prefix}"  # no prefix begins with a blank


def _span(low: int, high: int) -> int:
    return low << 32 | high


def _write_texts(folder: Path, name: str, texts: Sequence[bytes]) -> None:
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(text) for text in texts], dtype=np.int64)])
    write_array(folder / f"{name}.npy", np.frombuffer(b"".join(texts), np.uint8))
    write_array(folder / f"{name}_starts.npy", starts.astype(np.uint32))


def _groups(entries: Sequence[CompletionEntry], stem: Callable[[str], str]) -> NDArray[np.uint32]:
    numbers: dict[tuple[str, ...], int] = {}
    stems = lru_cache(None)(stem)
    groups = np.zeros(len(entries), np.uint32)
    for place, entry in enumerate(entries):
        # Categories are told apart by their paths, brands by their names.
        words = sorted(map(stems, entry.keys[0].split())) if entry.kind == QUERY else [entry.text]
        groups[place] = numbers.setdefault((entry.kind, *words), len(numbers))
    return groups


def _nodes(
    keys: Sequence[bytes], entry_of: NDArray[np.uint32], groups: NDArray[np.uint32]
) -> Iterator[tuple[int, list[int]]]:
    """(its span of keys as one number, its best entries) of every beginning with more than SCANNED keys."""
    waiting = [(0, len(keys), 0)]
    while waiting:
        low, high, depth = waiting.pop()
        if high - low <= SCANNED:
            continue
        yield _span(low, high), _distinct(np.unique(entry_of[low:high]).tolist(), groups, TOP)
        start = low
        while start < high and len(keys[start]) == depth:
            start += 1
        while start < high:
            end = bisect_left(keys, keys[start][: depth + 1] + LAST, start, high)
            waiting.append((start, end, depth + 1))
            start = end
