"""Calls to Triton: models as they are served, requests as bytes, circuits."""
