"""Releases travel between machines: pushed to a store of objects, pulled from it, and kept in step with its channels.

A release in a store is what it is on disk, signed once where it was built: nothing is trusted that the signature does
not cover. The gateway needs none of this: it follows the workspace that `sync` keeps.
"""
