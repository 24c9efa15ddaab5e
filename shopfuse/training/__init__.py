"""Models: fitted and trained torch modules, their trainers, baselines and evaluation. Exports and serves nothing."""
