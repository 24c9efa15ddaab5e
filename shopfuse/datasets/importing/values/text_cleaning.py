"""Texts of a whole column brought into the stored form: NFC, one line, no control characters, bounded in length.

Vectorised, for imports. Queries and model inputs go through ranking.text, which folds further.
"""

from typing import Final

import polars as pl

from shopfuse.datasets.importing.values.markup import MARKED, plain_text

_RAW: Final = 8  # times as long as a text may be is what is read of it: the rest was to be markup


def clean_text(column: pl.Expr, limit: int) -> pl.Expr:
    """The text in stored form; "" where nothing visible is left, null stays null.

    Cut before it is normalised as well as after: normalising a flood of combining marks takes quadratic time.
    """
    bounded = column.str.strip_chars().str.head(limit)
    # Soft hyphens and the like are invisible, and would cut words in two.
    spaced = bounded.str.replace_all(r"[\u{ad}\u{200b}\u{2060}\u{feff}]", "").str.replace_all(r"[\s\p{Cc}]+", " ")
    return spaced.str.normalize("NFC").str.head(limit).str.strip_chars()


def without_markup(column: pl.Expr, limit: int) -> pl.Expr:
    """The text without HTML, for texts that are cut to `limit` afterwards. Only those that may hold some are parsed."""
    return column.str.head(_RAW * limit).map_batches(_plain, return_dtype=pl.String())


def _plain(texts: pl.Series) -> pl.Series:
    marked = texts.str.contains(MARKED).fill_null(False).arg_true()
    return texts.scatter(marked, [plain_text(text) for text in texts.gather(marked)]) if len(marked) else texts


def filled(column: pl.Expr) -> pl.Expr:
    """The column with "" turned into null."""
    return pl.when(column != "").then(column)


def too_long(column: pl.Expr, limit: int) -> pl.Expr:
    """How many texts of the column are longer than `limit`."""
    return (column.str.strip_chars().str.len_chars() > limit).sum()
