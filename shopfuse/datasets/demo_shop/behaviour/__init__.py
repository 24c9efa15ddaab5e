"""What visitors of the simulated shop do: intents, queries, what they are shown, how they react, what they write."""
