"""What past sessions and evaluations say."""
