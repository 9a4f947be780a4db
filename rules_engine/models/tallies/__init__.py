"""Numbers that all processes count together: in memory first, and in a row each every few seconds."""
