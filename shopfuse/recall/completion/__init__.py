"""What a shopper may be about to type: words of the catalogue and searches of others, by the letters typed so far."""
