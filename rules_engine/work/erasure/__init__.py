"""Erasing what is recorded of one object."""
