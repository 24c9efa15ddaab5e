"""A release put together: files, golden queries, manifest, signature."""
