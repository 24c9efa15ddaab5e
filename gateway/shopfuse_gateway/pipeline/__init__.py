"""The stages of a request, in the order of flow.py."""
