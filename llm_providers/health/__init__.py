"""Which providers answer and which models they offer, found out without cost."""
