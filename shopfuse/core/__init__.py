"""What everything stands on: errors, progress, files and paths; the standard library only."""
