"""Neighbour products, one Django app of one shape each (see `base`); none knows another."""
