"""The shop that training's tests learn from, with its models: what the report is made of."""

from tests.training.conftest import models, shop

__all__ = ["models", "shop"]
