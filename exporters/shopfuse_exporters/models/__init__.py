"""The models of one shop, exported in the order in which each one's outputs feed the next."""
