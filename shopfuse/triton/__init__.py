"""A real Triton on this machine, from the pip package, with no container and no GPU.

It runs model repositories; it neither writes them (exporters) nor answers shoppers (gateway).
"""
