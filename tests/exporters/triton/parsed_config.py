"""A config.pbtxt as Triton reads it."""

from __future__ import annotations

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig


def parse_config(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())
