"""Whether a save inserts a row, in which tables, and what Django was told about that."""
