"""The evaluation report as values: what was measured, how surely, and where every figure comes from. No rendering."""
