"""What training reads of a shop: catalogue, cleaned event log, histories, statistics, at a point in time."""
