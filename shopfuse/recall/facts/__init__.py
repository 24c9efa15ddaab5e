"""What an item states of itself: the numbers that name it, its quantities, what it is called."""
