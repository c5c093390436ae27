"""What texts are: tokens, prices, languages, numbers in prose, comparison, safe printing."""
