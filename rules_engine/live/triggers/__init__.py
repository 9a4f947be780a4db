"""What live rules need of a table's triggers, and whether those that are there give it."""
