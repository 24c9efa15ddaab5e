"""What exists in the simulated shop: categories, brands, items, their looks, and people's tastes."""
