"""Models: fitted and trained torch modules, their trainers and baselines. Exports, evaluates and serves nothing."""
