"""The fusion ranker and its methods: score level, stacking, attention, mixture of experts."""
