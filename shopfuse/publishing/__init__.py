"""Puts releases into service and takes them out of it: publish, promote, roll back, prune, reconcile.

It places a release's models in the Triton repository, has them loaded and checked, and flips the pointer that gateways
follow. It builds nothing and answers nobody; what it refuses leaves everything that serves as it was.
"""
