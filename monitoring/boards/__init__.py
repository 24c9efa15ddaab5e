"""The dashboards, a table in a file for each. A new panel is a row of one of them."""

from monitoring.boards import on_call, quality, releases, request_path, triton

BOARDS = (on_call.BOARD, request_path.BOARD, triton.BOARD, quality.BOARD, releases.BOARD)
