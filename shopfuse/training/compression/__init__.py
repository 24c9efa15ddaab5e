"""Smaller text encoders made from a larger one: pruned, or distilled. What comes out is a plain checkpoint."""
