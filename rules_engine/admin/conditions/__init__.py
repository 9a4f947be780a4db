"""Conditions as rows and as words: what the builder is handed, and how a condition reads."""
