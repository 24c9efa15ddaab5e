"""Releases in memory: opened, compatible, followed, leased, and what belongs to one of them."""
