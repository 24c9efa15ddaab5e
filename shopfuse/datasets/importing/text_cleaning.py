"""Texts of a whole column brought into the stored form: NFC, one line, no control characters, bounded in length.

Vectorised, for imports. Queries and model inputs go through ranking.text, which folds further.
"""

import polars as pl


def clean_text(column: pl.Expr, limit: int) -> pl.Expr:
    """The text in stored form; "" where nothing visible is left, null stays null.

    Cut before it is normalised as well as after: normalising a flood of combining marks takes quadratic time.
    """
    bounded = column.str.strip_chars().str.head(limit)
    spaced = bounded.str.replace_all(r"[\s\p{Cc}]+", " ")
    return spaced.str.normalize("NFC").str.head(limit).str.strip_chars()


def filled(column: pl.Expr) -> pl.Expr:
    """The column with "" turned into null."""
    return pl.when(column != "").then(column)


def too_long(column: pl.Expr, limit: int) -> pl.Expr:
    """How many texts of the column are longer than `limit`."""
    return (column.str.strip_chars().str.len_chars() > limit).sum()
