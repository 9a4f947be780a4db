"""Writes of many rows by one statement: Django sends no signal of them, and rules are told all the same."""
