"""The arena's screens and its leaderboard."""
