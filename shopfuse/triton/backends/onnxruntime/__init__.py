"""The folder's name is the backend's name in config.pbtxt; Triton reads model.py and nothing else."""
