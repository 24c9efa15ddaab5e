"""Encoders, towers and heads: torch modules that know nothing of a shop's files."""
