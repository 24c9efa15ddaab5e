"""shopfuse: search and recommendation serving for online shops."""
