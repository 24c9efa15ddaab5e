"""How a query is read: words, joints, forms, spelling, compounds, brands, quantities, and which category is meant."""
