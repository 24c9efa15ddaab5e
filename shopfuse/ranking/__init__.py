"""The pure core of ranking: features, tensors, channels, fusion, filters, text, pixels. No files, no network."""
