"""How each model is trained, in which order, and which ranker is taken."""
