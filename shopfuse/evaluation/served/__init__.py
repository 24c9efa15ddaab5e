"""A served shop, asked as its callers ask it, and its answers judged."""
