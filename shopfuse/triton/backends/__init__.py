"""Triton backends of our own: each folder is copied beside Triton's, none is imported from here."""
