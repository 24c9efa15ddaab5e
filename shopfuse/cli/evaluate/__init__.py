"""The commands `shopfuse evaluate ...`."""
