"""TensorRT plans of a release's models: built and verified on the GPU that will serve, then sealed into a release.

Nothing here imports TensorRT or CUDA when it is imported: `build_plan` finds them in NVIDIA's container, the rest is
files and runs anywhere.
"""
