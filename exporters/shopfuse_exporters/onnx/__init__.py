"""Torch to ONNX, and inputs to try a graph with."""
