"""Load on a served shop: closed loop (a number of clients) and open loop (a rate)."""
