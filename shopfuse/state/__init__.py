"""The online feature store: users' histories, items' feature rows and display fields. No features are computed here."""
