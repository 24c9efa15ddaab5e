"""The recall indexes: item table, lexical, vectors, co-visits, popularity. Each file builds and reads one format.

Readers map files into memory, so worker processes share them and opening takes milliseconds. No models, no network.
"""
