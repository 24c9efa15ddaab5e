"""The root of the errors that a user can cause or repair.

The command line prints their text as one line and exits with 1. Anything else is a bug and keeps its traceback.
"""


class ShopfuseError(Exception):
    """Something a user can repair; the message names what was expected, what came, and where."""
