"""All items that match words and a filter, not the best alone: counted, sorted, and counted by what they have."""
