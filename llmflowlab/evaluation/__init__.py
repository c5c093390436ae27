"""How answers are had, scored, compared and reported."""
