"""Single values of an export turned into ours: numbers, prices, times, words, texts."""
