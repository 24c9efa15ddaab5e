"""Trained models on disk: safetensors with what they were made of, and all models of one shop together."""
