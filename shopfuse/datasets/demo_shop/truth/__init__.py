"""What the simulator knows and a real shop does not: graded relevance, and how much each signal tells."""
