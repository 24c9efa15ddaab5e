"""`shopfuse-gateway`, and `python -m shopfuse_gateway`: the program, and what must be set before numpy is imported."""

import os
import sys

# One request's matrices are small: BLAS threads would spend more on waking up than they save, and take the cores from
# other requests. Read once, when numpy is first imported; spawned workers inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from shopfuse_gateway.main import main

if __name__ == "__main__":
    sys.exit(main())
