"""The console of reviews: answers judged at the keys and in spreadsheets."""
