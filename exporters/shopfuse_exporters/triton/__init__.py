"""A model repository: configurations of models and ensembles, versions, targets."""
