"""Rows of a file before anything is read of them: variants with their products, lists made plain."""
