"""Removing old rows, a batch by one statement."""
