"""The baselines of the evaluation table, which serving cannot share: SASRec, and what is counted of histories."""
