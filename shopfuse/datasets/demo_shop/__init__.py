"""The demo shop: a seeded simulator of an online shop whose true relevance is known. It trains nothing."""
