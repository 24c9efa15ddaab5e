"""The demo shop: a seeded simulator of an online shop whose true relevance is known. It trains nothing."""

from shopfuse.datasets.demo_shop.shop import DemoShopSize, build_demo_shop
from shopfuse.datasets.demo_shop.world.world import DemoShop, DemoShopError, simulate_shop

__all__ = ["DemoShop", "DemoShopError", "DemoShopSize", "build_demo_shop", "simulate_shop"]
