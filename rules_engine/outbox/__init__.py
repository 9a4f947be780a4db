"""Rows for what is to be done, written beside the change that caused it, and the hint that there are some."""
