"""npy files of a release: written whole and synced to disk, opened as read-only memory maps, looked up by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shopfuse.core.atomic_files import atomic_file
from shopfuse.release.manifest import ReleaseError


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Writes `array` so that `path` is either absent (or the old file) or whole."""
    with atomic_file(path) as staged, staged.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def open_array(path: Path, dtype: DTypeLike, dimensions: int = 1) -> NDArray[Any]:
    """Raises ReleaseError naming `path` where the file is missing, cut short, or of another type.

    np.bytes_ stands for byte strings of any width.
    """
    try:
        # A plain view of the map: indexing np.memmap itself takes several times as long.
        array: NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, EOFError, SyntaxError) as error:
        raise ReleaseError(f"{path}: not a whole npy file ({error})") from error
    expected = array.dtype if np.dtype(dtype) == np.bytes_ and array.dtype.kind == "S" else np.dtype(dtype)
    if array.dtype != expected or array.ndim != dimensions:
        actual = f"{array.dtype} with {array.ndim} dimensions"
        raise ReleaseError(f"{path}: expected {expected} with {dimensions} dimensions, found {actual}")
    return array


def key_span(keys: NDArray[np.uint64], indptr: NDArray[np.int64], key: int) -> slice:
    """Where the entries of `key` lie, by ascending `keys` [n] and the starts of their entries [n + 1]; empty where it
    has none."""
    at = int(np.searchsorted(keys, np.uint64(key)))
    if at == len(keys) or int(keys[at]) != key:
        return slice(0, 0)
    return slice(int(indptr[at]), int(indptr[at + 1]))
