"""The commands `shopfuse bench ...`."""
