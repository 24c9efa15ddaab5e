"""How good answers are: offline and as served, against judgments, truth and baselines; tables and reports."""
