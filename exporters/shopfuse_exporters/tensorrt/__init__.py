"""TensorRT, twice: engines for RTX GPUs, built anywhere and put into a release while it is made; and plans, built and
verified on the GPU that will serve, then sealed into a release of their own.

Nothing here imports TensorRT or CUDA when it is imported: `rtx` finds TensorRT for RTX where it is installed,
`build_plan` finds TensorRT in NVIDIA's container, the rest is files and runs anywhere.
"""
