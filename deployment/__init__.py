"""How the lab is run for others: container files, and the same stack from processes."""
