"""Next-item models over histories, compared with what is counted: leave one out, several seeds, one fused row."""
