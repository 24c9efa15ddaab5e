"""A release put together: indexes, models, golden set, manifest, signature."""
