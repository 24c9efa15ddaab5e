"""Settings that all tests share."""

from __future__ import annotations

import logging

# torch traces every export step to this logger; pytest would record hundreds of thousands of lines.
logging.getLogger("torch.__trace").propagate = False
