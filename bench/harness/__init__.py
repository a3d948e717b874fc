"""Standard library only: what bench/peers.py is made of."""
