"""Pauses: made, listed and ended."""
