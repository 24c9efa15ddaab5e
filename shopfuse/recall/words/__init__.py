"""How a query is read: words, forms, spelling, compounds, brands, units, and which category is meant."""
