"""Several processes train one model: ranks, shards, and what the leader tells the others."""
