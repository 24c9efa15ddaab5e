"""Formats that are recognised without a mapping: presets, and guesses for the rest."""
