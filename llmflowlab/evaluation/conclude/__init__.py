"""From scores to figures, comparisons, decisions and words."""
