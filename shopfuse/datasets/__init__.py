"""Where rows come from: catalogue and event importers and the demo shop, all writing into a workspace. No models."""
