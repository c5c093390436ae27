"""What may go into a model and what may come out of it: rules, a detector, and what is done about it."""
