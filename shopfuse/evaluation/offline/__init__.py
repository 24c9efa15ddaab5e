"""Measured without a gateway: rankers on simulated shops, fusion methods, baselines, weights of channels."""
