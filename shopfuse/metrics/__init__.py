"""Measures of ranked lists, probabilities and catalogues; numpy only, no input or output."""
