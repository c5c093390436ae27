"""Kills at random instants; nothing that was shown, answered or paid may be lost or counted twice."""
